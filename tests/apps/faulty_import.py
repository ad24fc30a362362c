import not_there_at_all

app = not_there_at_all.app
