"""Makes copy-cases.tsv: COPY data, well formed and not, and what PostgreSQL 15 makes of it.

Usage: copy_cases.py CONNINFO [COUNT [SEED]] > copy-cases.tsv   (a scratch database; needs psycopg 3)

Columns: format, delimiter, null, quote, escape, header, force_not_null, force_null, key column, column count, data, outcome.
Bytes are hexadecimal. Outcome: "ok" and the key of each row ("-" is NULL), or "error", SQLSTATE, message and CONTEXT.
"""
import random
import sys

import psycopg

UNITS = {
    "text": ["a", "b", "Z", "7", "0", "12", "x", "x4", "x41", "\\", "\\\\", "\\.", ".", "N", "\\N", "D", "D", "D", "L", "L", "\\L", "\n", "\r",
             "\r\n", "\\n", "\\t", "\\101", "\\x41", "\u00e9", " ", "D", "L", "\\D", "A"],
    "csv": ["a", "b", "Q", "Q", "Q", "E", "EQ", "QQ", "D", "D", "D", "L", "L", "\n", "\r", "\r\n", "\\", "\\.", "\\.L", "N", " ", "\u00e9", "QaQ",
            "QLQ", "Q,Q", "QQQaQQQ", "7", "D", "L"],
}


def well_formed(rng, form, delimiter, quote, escape, null, columns, line):
    out = ""
    for row in range(rng.randint(1, 4)):
        fields = []
        for _ in range(columns):
            if form == "text":
                fields.append("".join(rng.choice(["a", "7", "\\\\", "\\t", "\\x4a", "\\" + line[-1:], "b", "\\" + delimiter]) for _ in range(rng.randint(0, 3))))
            elif rng.random() < 0.5:
                fields.append("".join(rng.choice(["a", "7", " ", "b"]) for _ in range(rng.randint(0, 3))))
            else:
                inner = "".join(rng.choice(["a", escape + quote, delimiter, line, "b", null]) for _ in range(rng.randint(0, 3)))
                fields.append(quote + inner + quote)
            if rng.random() < 0.08:
                fields[-1] = null
        out += delimiter.join(fields) + line
    if rng.random() < 0.3:
        out += "\\." + line + "rest"
    elif rng.random() < 0.3 and out.endswith(line):
        out = out[: -len(line)]
    return out


def literal(text):
    return "E'" + "".join("\\x%02x" % b for b in text.encode()) + "'"


def case(rng, connection):
    form = rng.choice(["text", "csv"])
    columns = rng.choice([1, 2, 2, 3])
    key = rng.randrange(columns)
    delimiter = rng.choice(["\t", "|", "A"] if form == "text" else [",", ";", "\\"])
    null = rng.choice(["\\N", "", "N", "ab"] if form == "text" else ["", "N", "ab"])
    quote = rng.choice(['"', '"', "'"])
    escape = rng.choice([quote, quote, "\\", "!"]) if delimiter != "\\" else quote
    header = rng.random() < 0.2
    not_null = form == "csv" and rng.random() < 0.2
    force_null = form == "csv" and rng.random() < 0.2
    line = rng.choice(["\n", "\n", "\r\n", "\r"])
    if rng.random() < 0.5:
        data = well_formed(rng, form, delimiter, quote, escape, null, columns, line)
    else:
        data = "".join(rng.choice(UNITS[form]) for _ in range(rng.randint(0, 14)))
        data = data.replace("D", delimiter).replace("L", line).replace("Q", quote).replace("E", escape)
    options = [f"FORMAT {form}", f"DELIMITER {literal(delimiter)}", f"NULL {literal(null)}", f"HEADER {str(header).lower()}"]
    if form == "csv":
        options += [f"QUOTE {literal(quote)}", f"ESCAPE {literal(escape)}"]
        options += [f"FORCE_NOT_NULL (c{key + 1})"] if not_null else []
        options += [f"FORCE_NULL (c{key + 1})"] if force_null else []
    names = [f"c{n + 1}" for n in range(columns)]
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS t")
        cursor.execute("CREATE TABLE t (id serial, " + ", ".join(f"{name} text" for name in names) + ")")
        try:
            with cursor.copy(f"COPY t ({', '.join(names)}) FROM STDIN ({', '.join(options)})") as copy:
                copy.write(data.encode())
            cursor.execute(f"SELECT c{key + 1} FROM t ORDER BY id")
            rows = ["-" if value is None else value.encode().hex() for (value,) in cursor.fetchall()]
            outcome = ["ok", " ".join("." if row == "" else row for row in rows)]
        except psycopg.Error as error:
            if error.sqlstate in ("22021", "22P05") or error.sqlstate.startswith("0A"):
                return None
            diag = error.diag
            outcome = ["error", error.sqlstate, diag.message_primary.encode().hex(), (diag.context or "").encode().hex()]
    fields = [form] + [x.encode().hex() for x in (delimiter, null, quote, escape)]
    fields += [str(int(x)) for x in (header, not_null, force_null)] + [str(key), str(columns), data.encode().hex()] + outcome
    return "\t".join(fields)


def main():
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 800
    rng = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 15)
    with psycopg.connect(sys.argv[1], autocommit=True) as connection:
        seen = set()
        while len(seen) < count:
            made = case(rng, connection)
            if made and made not in seen:
                seen.add(made)
                print(made)


main()
