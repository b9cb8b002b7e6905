#!/bin/sh
# /// exitpin
# schema = "exitpin.tool/1"
# id = "first"
# summary = "Does a page that I know arrive as I know it?"
# destination = [{ url = "http://web.test/page" }]
# run = { argv = ["sh", "-e", "{{script}}"], parse = "status" }
# ///
curl -qsSf --max-time 20 -o page http://web.test/page
echo 'b1177bd261b065c293f2d8ed73a77d34dcc4fd1ca109de5cb61093883772e8dc  page' | sha256sum --check --status || exit 100
