import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.http.field_names import (
    CREDENTIAL_FIELDS,
    HARMLESS_FIELDS,
    UNKEYED_FIELDS,
    USER_FIELDS,
)
from asgi_serial.http.request_fields import (
    MAX_STRANGE,
    NOT_STRANGE,
    Meaning,
    Strange,
    canonical_name,
    meaning_of,
    sort_strange,
)


def names_in(table: str) -> list[str]:
    return table.split()


HARMLESS = names_in(
    """
    accept accept-charset accept-encoding accept-language user-agent referer origin host dnt
    priority save-data upgrade-insecure-requests early-data sec-ch-ua sec-ch-ua-mobile
    sec-ch-ua-platform sec-ch-ua-full-version-list sec-ch-prefers-color-scheme sec-fetch-dest
    sec-fetch-mode sec-fetch-site sec-fetch-user sec-fetch-storage-access sec-gpc sec-purpose
    traceparent tracestate x-request-id x-correlation-id x-b3-traceid b3 x-amzn-trace-id
    x-cloud-trace-context cf-ray x-forwarded-for x-real-ip x-forwarded-proto x-forwarded-port via
    cdn-loop if-none-match if-modified-since if-match if-unmodified-since if-range range
    cache-control pragma connection keep-alive te trailer upgrade proxy-connection
    transfer-encoding content-length content-type content-encoding expect date max-forwards
    """
)

# By these apps and gateways are known to know who asks, or to answer otherwise; no list is whole.
UNKNOWN = names_in(
    """
    x-token x-ms-client-principal x-ms-client-principal-id x-ms-token-aad-id-token
    tailscale-user-login tailscale-user-name x-consumer-id x-consumer-username
    x-credential-identifier x-authenticated-userid x-anonymous-consumer x-webauth-user
    x-authentik-username x-authentik-groups x-vouch-user x-pomerium-claim-email
    x-pomerium-jwt-assertion x-goog-authenticated-user-id x-amzn-oidc-accesstoken x-wp-nonce
    x-csrf-token x-xsrf-token x-shopify-access-token x-gitlab-token x-vault-token x-hasura-role
    x-hasura-user-id x-parse-session-token x-acme-token x-account-id x-customer-id x-device-id
    x-visitor-id x-tenant x-organization x-workspace-id x-role x-scope x-user x-username x-login
    x-member x-shop-id x-company access-token token auth session x-auth x-authorization x-jwt
    x-jwt-assertion x-id-token x-session x-sid x-client-id x-client-dn baggage correlation-context
    x-datadog-tags from sec-session-id sec-token-binding sec-secure-session-response
    true-client-ip cf-connecting-ip fastly-client-ip x-client-ip x-cluster-client-ip client-ip
    x-original-forwarded-for cf-ipcountry x-country-code x-locale x-currency x-timezone
    x-app-version x-feature-flags x-experiment hx-trigger hx-prompt hx-current-url next-url
    rsc x-inertia x-color-scheme x-client-port dpr width viewport-width device-memory
    ect rtt downlink content-language authorization-x xcookie
    """
)

ROUTING = names_in(
    """
    x-forwarded-ssl front-end-https x-url-scheme x-forwarded-protocol cloudfront-forwarded-proto
    cf-visitor x-scheme x-arr-ssl fly-forwarded-proto wl-proxy-ssl x-forwarded-scheme x-https
    x-ssl ssl x-proto x-forwarded-https x-appservice-proto x-edge-proto x-client-scheme
    x-forwarded-tlsversion x-is-https x-secure x-amzn-tls-version x-ssl-protocol x-proxied-scheme
    forwarded x-forwarded-host x-host x-original-host x-real-host x-backend-host disguised-host
    was-default-hostname x-forwarded-server x-envoy-original-dst-host x-shop-domain
    x-forwarded-host-original x-original-url x-original-uri x-rewrite-url x-waws-unencoded-url
    x-ms-original-url x-request-uri x-envoy-original-path x-forwarded-path x-forwarded-prefix
    x-script-name x-base-url x-path x-forwardedpath x-http-method x-http-method-override
    x-method-override x-method x-original-method x-port x-real-port x-forwarded-by
    x-forwarded-anything proxy
    """
)

USERS = names_in(
    """
    x-api-key api-key x-auth-token x-forwarded-user x-forwarded-email x-forwarded-groups x-user-id
    x-tenant-id remote-user proxy-authorization client-cert ssl-client-s-dn x-ssl-client-verify
    x-ssl-client-i-dn x-forwarded-tls-client-cert-info x-forwarded-client-cert
    x-arr-clientcert-client-cert :client
    """
)


@pytest.mark.parametrize(
    ("names", "meaning"),
    [
        pytest.param(HARMLESS, Meaning.HARMLESS, id="harmless"),
        pytest.param(UNKNOWN, Meaning.UNKNOWN, id="unknown"),
        pytest.param(ROUTING, Meaning.ROUTING, id="routing"),
        pytest.param(USERS, Meaning.USER, id="users"),
    ],
)
def test_the_meaning_of_a_name(names: list[str], meaning: Meaning) -> None:
    others = {name: meaning_of(name.encode()) for name in names}
    assert {name: found for name, found in others.items() if found is not meaning} == {}


def test_what_is_listed_has_the_meaning_of_its_list() -> None:
    for meaning, names in (
        (Meaning.HARMLESS, HARMLESS_FIELDS),
        (Meaning.USER, USER_FIELDS | CREDENTIAL_FIELDS),
        (Meaning.ROUTING, UNKEYED_FIELDS),
    ):
        assert {meaning_of(name) for name in names} == {meaning}
        assert all(canonical_name(name) == name for name in names)


def spellings(name: str) -> list[bytes]:
    return [
        spelt
        for spelt in (name.replace("-", "_").encode(), name.upper().encode(), name.title().encode())
        if spelt != name.encode()
    ]


@pytest.mark.parametrize("name", sorted({*HARMLESS, *UNKNOWN, *ROUTING, *USERS} - {":client"}))
def test_another_spelling_is_never_harmless(name: str) -> None:
    """`X_Forwarded_Host` is to WSGI what `X-Forwarded-Host` is."""
    meaning = meaning_of(name.encode())
    for spelt in spellings(name):
        found = meaning_of(spelt)
        assert found is not Meaning.HARMLESS
        if meaning in (Meaning.USER, Meaning.ROUTING):
            assert found is meaning


@pytest.mark.parametrize("name", [b"Host", b"ORIGIN", b"x_forwarded_proto", b"X-Forwarded-Port"])
def test_another_spelling_of_a_part_of_the_key_may_route(name: bytes) -> None:
    assert meaning_of(name) is Meaning.ROUTING


def test_another_spelling_of_a_configured_part_of_the_key_may_route() -> None:
    keyed = frozenset({b"x-shop"})
    assert meaning_of(b"x_shop", keyed) is meaning_of(b"X-Shop", keyed) is Meaning.ROUTING
    assert meaning_of(b"x_shop") is Meaning.UNKNOWN


@given(st.binary(max_size=40))
def test_any_name_has_a_meaning_and_one_canonical_spelling(name: bytes) -> None:
    spelt = canonical_name(name)
    assert canonical_name(spelt) == spelt
    meaning = meaning_of(name)
    if meaning is Meaning.HARMLESS:
        assert name == spelt
    elif meaning is not Meaning.UNKNOWN:
        assert meaning_of(name.upper()) is meaning or name.lower() == b":client"


@given(st.text("abcdefghijklmnopqrstuvwxyz-_", min_size=1, max_size=20))
def test_a_name_that_nobody_has_listed_is_not_harmless(name: str) -> None:
    field = name.encode()
    if field not in HARMLESS_FIELDS and not field.startswith((b"sec-ch-", b"sec-fetch-")):
        assert meaning_of(field) is not Meaning.HARMLESS


def test_names_are_sorted_by_their_meaning() -> None:
    names = [b"x-token", b"x_api_key", b"x-host", b"sec-ch-new", b"X_Lang"]
    assert sort_strange(names, meaning_of) == Strange(
        unknown=frozenset({b"x-token", b"X_Lang"}),
        users=frozenset({b"x_api_key"}),
        routing=frozenset({b"x-host"}),
        twins=frozenset({b"x-api-key", b"x-lang"}),
    )
    assert sort_strange([b"sec-ch-new"], meaning_of) == NOT_STRANGE


def test_of_too_many_names_any_may_route_and_none_is_looked_into() -> None:
    looked: list[bytes] = []

    def look(name: bytes) -> Meaning:
        looked.append(name)
        return Meaning.UNKNOWN

    names = [b"x-%d" % number for number in range(MAX_STRANGE + 1)]
    assert sort_strange(names, look) == Strange(routing=frozenset(names))
    assert looked == []
    assert sort_strange(names[1:], look) == Strange(unknown=frozenset(names[1:]))
