"""What takes long is done in a thread; without asyncio it is done as well."""

import asyncio
import logging
import threading

import pytest
from pydantic.dataclasses import dataclass

from asgi_serial import CodecError, FormatError, SerializationUtils, serialized

from .models import Account, Point, Users, make_users

NOISY = Users(
    users=[
        user.model_copy(update={"email": f"{number * 2654435761 % 2**32:x}@example.com"})
        for number, user in enumerate(make_users(4_000).users)
    ]
)


OTHERS = Users(users=NOISY.users[:10])


@dataclass
class Waiting:
    inner: "Awaited | None" = None


@dataclass
class Awaited:
    number: int = 0


def test_a_large_payload_is_opened_beside_the_loop(make_manager, monkeypatch):
    manager, threads = make_manager(compression_level="FAST"), []
    pipeline = manager.cached_manager.pipeline
    open_payload = pipeline.open

    def open_and_tell(payload, model):
        threads.append(threading.current_thread())
        return open_payload(payload, model)

    monkeypatch.setattr(pipeline, "open", open_and_tell)
    payload = manager.serialize_sync(NOISY)
    assert asyncio.run(manager.deserialize_model(payload, Users)) == NOISY
    assert threads[0] is not threading.main_thread()


def test_another_library_s_loop_waits_for_it(make_manager):
    manager = make_manager(compression_level="FAST", enable_profiling=False)
    with pytest.raises(StopIteration) as written:
        manager.serialize_model(NOISY).send(None)
    with pytest.raises(StopIteration) as found:
        manager.deserialize_model(written.value.value, Users).send(None)
    assert found.value.value == NOISY


def test_a_cancelled_call_keeps_nothing_under_its_key(make_manager):
    async def use(manager):
        task = asyncio.create_task(manager.serialize_model(NOISY, cache_key="k"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        payload = await manager.serialize_model(OTHERS, cache_key="k")
        return await manager.deserialize_model(payload, Users)

    assert asyncio.run(use(make_manager())) == OTHERS


def test_a_document_that_could_not_be_read_again_is_not_written(make_manager):
    manager = make_manager(max_decoded_size=100)
    for compress in (True, False):
        with pytest.raises(FormatError, match="max_decoded_size is 100"):
            manager.serialize_sync(make_users(3), compress=compress)


def test_a_dataclass_that_waits_for_another_is_completed(make_manager):
    manager = make_manager()
    found = manager.deserialize_sync(b'{"inner":{"number":7}}', Waiting)
    assert found == Waiting(inner=Awaited(number=7))


def test_a_pickle_that_a_later_definition_does_not_fit_is_refused(make_manager):
    manager = make_manager(pickle_key="one secret of some length")
    payload = manager.serialize_sync(Point(x=1, y=2), "pickle")
    with pytest.raises(ValueError, match="it holds an object of type Point"):
        manager.deserialize_sync(payload, Account, "pickle")


def test_the_tools_leave_plain_data_and_refuse_damage():
    assert SerializationUtils.decompress(b"plain") == b"plain"
    with pytest.raises(CodecError):
        SerializationUtils.decompress(b"\x1f\x8b\x08")


def test_a_function_without_annotations_is_annotated_by_what_is_known(make_manager):
    @serialized(manager=make_manager())
    def load(number):
        return Point(x=number, y=2)

    assert load.__annotations__ == {"return": bytes}
    assert load(1) == b'{"x":1,"y":2,"label":""}'


def test_the_logger_says_nothing_of_values(make_manager, caplog):
    caplog.set_level(logging.DEBUG, "asgi_serial")
    make_manager(profile_threshold=0).serialize_sync(Point(x=1, y=2, label="hunter2"))
    assert len(caplog.messages) == 1
    assert "hunter2" not in caplog.text
