"""Finds names in the extension's SQL that a search path decides about.

What SQL functions and statements of the extension run under the caller's search_path must name
operators, functions and types with their schema: else the caller, or whoever may create objects in
one of the schemas in the path, decides what runs. Looked at are

- bodies of SQL functions that have no `SET search_path` and are not parsed when they are created,
- strings in any function that are statements or pieces of them (they begin with an SQL word in upper
  case), but not those that a function with a `SET search_path` executes itself,
- string literals in the Rust code outside tests: all that begin as statements do, and all that have
  an operator in files that work with SPI.

Of several definitions of a function, in the scripts that follow each other, the last counts.
Operators, calls, `::type` and `CAST (... AS type)` without a schema are found, and constructs that stand
for an operator found by its bare name, such as IN and BETWEEN. It reads tokens, not grammar: not
found is what is composed of pieces of other forms, and types of plpgsql's variables.

    python3 -m scripts.sql_names
"""

import re

from scripts.host import ROOT, main

# The grammar's own, which no search path changes.
CONSTRUCTS = set(
    """all and any array as by case cast check coalesce conflict default do else end exists extract
    filter foreign from greatest if in including into is join key lateral least like limit loop not nullif on or order
    over overriding partition primary raise references return returning row rows select set some table then unique
    update using values when where while with within insert delete operator elsif elseif execute perform query using for
    foreach grouping xmlelement""".split()
)
KEYWORD_TYPES = set(
    """bigint bit boolean char character dec decimal double float int integer interval national nchar numeric
    precision real smallint time timestamp varchar varying""".split()
)
# Statements that a function makes and others run, who have a search path of their own: the names that
# the maker knows them by, and who runs them. Whether these have one is looked at.
RUN_BY_OTHERS = {
    "chrono_consolidate_sql": (
        {"scan", "nearest", "nearby", "rank", "lock", "busy", "plan", "stars", "touching"},
        {"chrono_duplicates", "chrono_plan_merges", "chrono_lock_duplicates"},
    ),
}
# Functions of version 0.2.0 whose casts to `text` 0.3.0 gives their schema when it rewrites the bodies; a test looks
# at what is installed (tests/regress/sql/internal.sql).
REWRITTEN_CASTS = {"chrono_link", "chrono_related_sql", "chrono_walk", "chrono_unconsolidate", "chrono_unconsolidate_sql"}
BY_BARE_NAME = re.compile(
    r"\b(IN|BETWEEN|LIKE|ILIKE|SIMILAR\s+TO|NULLIF|IS\s+(?:NOT\s+)?DISTINCT\s+FROM|NATURAL)\b|\bCASE\s+(?!WHEN\b)|\bJOIN\b[^;]*?\bUSING\s*\(", re.I
)
STATEMENT = re.compile(
    r"\s*(?:%\d*\$?s\s+)?(?:SELECT|INSERT|UPDATE|DELETE|WITH|WHERE|AND|OR|SET|FROM|JOIN|ORDER BY|EXISTS|CASE|VALUES|MERGE)\b"
)
ADVICE = "A search path decides about these: write OPERATOR(pg_catalog.=), pg_catalog.count(...), ::pg_catalog.text."
TOKEN = re.compile(
    r"""(?P<comment>--[^\n]*|/\*.*?\*/)
    |(?P<string>E?'(?:[^']|'')*')
    |(?P<quoted>"(?:[^"]|"")*")
    |(?P<hole>%(?:\d+\$)?[sIL]|\{[\w.:]*\}|%(?:ROWTYPE|TYPE)\b)
    |(?P<dollar>\$(?:\w*)\$|\$\d+)
    |(?P<number>\d+(?:\.\d+)?)
    |(?P<word>@?[A-Za-z_]\w*@?)
    |(?P<cast>::)|(?P<assign>:=|=>)
    |(?P<operator>[-+*/<>=~!@#%^&|`?]+)
    |(?P<mark>[().,;:\[\]\\])""",
    re.X | re.S,
)


def unqualified(text):
    """What a search path decides about in a piece of SQL: the words, in the order of the text."""
    tokens = [
        (kind, match.group())
        for match in TOKEN.finditer(text)
        if (kind := match.lastgroup) != "comment"
    ]
    code = " ".join("''" if kind in ("string", "quoted") else word for kind, word in tokens)
    found = [" ".join(match.group().split()) for match in BY_BARE_NAME.finditer(code) if not _is_loop(code, match)]
    # Whether `=` assigns, at each depth of parentheses.
    assigns = [False]
    for at, (kind, word) in enumerate(tokens):
        before = tokens[at - 1] if at else ("", "")
        after = tokens[at + 1] if at + 1 < len(tokens) else ("", "")
        lower = word.lower()
        if kind == "word":
            if lower in ("set", "diagnostics", "using"):
                # UPDATE ... SET a = b, GET DIAGNOSTICS a = b, RAISE ... USING a = b
                assigns[-1] = True
            elif lower in ("where", "from", "select", "and", "or", "if", "on", "when", "returning", "then"):
                assigns[-1] = False
            is_call = after[1] == "(" and lower not in CONSTRUCTS and lower not in KEYWORD_TYPES
            is_declared = before[1].lower() in ("as", "into", "table", "recursive", "with", "")
            if is_call and before[1] != "." and not is_declared and not _is_list(tokens, at):
                found.append(f"{word}(")
            elif before[0] == "cast" and after[1] != "." and lower not in KEYWORD_TYPES:
                found.append(f"::{word}")
            elif before[1].lower() == "as" and after[1] in (")", "[") and lower not in KEYWORD_TYPES and _in_cast(tokens, at):
                found.append(f"CAST AS {word}")
        elif word == "(":
            assigns.append(False)
        elif word == ")":
            assigns = assigns[:-1] or [False]
        elif word == ";":
            assigns = [False]
        elif kind == "operator":
            is_named = before[1] == "." and at > 2 and _in_operator(tokens, at)
            is_star = word == "*" and (before[1] in ("(", ".", ",") or before[1].lower() in ("select", "returning", "all", "distinct"))
            is_sign = word in ("-", "+") and after[0] == "number" and before[0] not in ("word", "number", "string", "dollar", "hole", "quoted") and before[1] not in (")", "]")
            if not (is_named or is_star or is_sign or word == "=" and assigns[-1]):
                found.append(word)
    return found


def _is_loop(code, match):
    """FOR x IN and FOREACH x IN ARRAY are loops."""
    return match.group().upper() == "IN" and re.search(r"\bFOR(EACH)?\s+[\w, ]+$", code[: match.start()], re.I)


def _is_list(tokens, at):
    """Columns of a table in WITH, behind a comma."""
    depth = 0
    for place in range(at + 1, len(tokens)):
        word = tokens[place][1]
        depth += (word == "(") - (word == ")")
        if depth == 0:
            follows = [token[1].lower() for token in tokens[place + 1 : place + 3]]
            return follows[:1] == ["as"] and follows[1:] in (["("], ["materialized"])
    return False


def _in_cast(tokens, at):
    depth = 0
    for place in range(at, 0, -1):
        word = tokens[place][1]
        depth += (word == ")") - (word == "(")
        if depth < 0:
            return tokens[place - 1][1].lower() == "cast"
    return False


def _in_operator(tokens, at):
    """OPERATOR(schema.@)"""
    return tokens[at - 3][1] == "(" and tokens[at - 4][1].upper() == "OPERATOR"


def _statements(script):
    """The statements of a script; semicolons in strings and bodies end none."""
    ends = re.compile(r"--[^\n]*|'(?:[^']|'')*'|\$(\w*)\$.*?\$\1\$|\bBEGIN\s+ATOMIC\b.*?^END\b|;", re.S | re.M)
    start = 0
    for match in ends.finditer(script):
        if match.group() == ";":
            yield script[start : match.start()]
            start = match.end()


def functions(scripts):
    """Each function's last definition in scripts that follow each other: `(name, arguments)` to text."""
    found = {}
    for script in scripts:
        for statement in _statements(script):
            statement = re.sub(r"^(\s|--[^\n]*\n)+", "", statement)
            created = re.match(
                r"CREATE\s+(?:OR\s+REPLACE\s+)?(?:FUNCTION|PROCEDURE)\s+([\w.@]+)\s*\((.*?)\)\s*(?:RETURNS|LANGUAGE|$)", statement, re.S
            )
            dropped = re.match(r"DROP\s+FUNCTION\s+(?:IF\s+EXISTS\s+)?([\w.@]+)", statement)
            if created:
                arguments = re.sub(r"\s+DEFAULT\s+[^,]*", "", created[2])
                found[created[1].split(".")[-1], " ".join(arguments.split())] = statement
            elif dropped:
                name = dropped[1].split(".")[-1]
                found = {key: text for key, text in found.items() if key[0] != name}
    return found


def in_function(definition, others=frozenset()):
    """What is found in the definition of a function; `others` are run under another search path."""
    head, body = _halves(definition)
    if body is None:
        return []
    is_locked = re.search(r"\bSET\s+search_path\b", head)
    is_parsed = re.search(r"\bBEGIN\s+ATOMIC\b|\bRETURN\s", head) is not None
    found = [] if is_locked or is_parsed else unqualified(body)
    for match in re.finditer(r"--[^\n]*|'((?:[^']|'')*)'", body):
        text = match[1]
        if text is None or not STATEMENT.match(text):
            continue
        variables = re.findall(r"^\s*(\w+)(?: \w+)? := ", body[: match.start()], re.M)
        if variables and variables[-1] in others:
            continue
        runs_here = re.search(r"\bEXECUTE\s+(?:format\s*\(\s*)?$", body[: match.start()])
        if not (is_locked and runs_here):
            found += unqualified(text.replace("''", "'"))
    return found


def _halves(definition):
    """What a definition says of a function, and the function's body."""
    quoted = re.search(r"\bAS\s+\$(\w*)\$(.*)\$\1\$", definition, re.S)
    if quoted:
        return definition[: quoted.start()] + definition[quoted.end() :], quoted[2]
    parsed = re.search(r"\bBEGIN\s+ATOMIC\b|^\s*RETURN\s", definition, re.M)
    if parsed:
        return definition, definition[parsed.start() :]
    plain = re.search(r"\bAS\s+'((?:[^']|'')*)'\s*$", definition)
    if plain and not re.search(r"\bLANGUAGE\s+(c|internal)\b", definition, re.I):
        return definition[: plain.start()], plain[1].replace("''", "'")
    return definition, None


def in_rust(source):
    """What is found in a file of Rust, with the number of the line."""
    source = source.split("#[cfg(test)]")[0]
    speaks_sql = re.search(r"\bSpi::|\bSPI_\w+\(|cursor::Parameters", source)
    literal = re.compile(r'//[^\n]*|\'(?:\\.|[^\\\'])\'|b?r?"((?:\\.|[^"\\])*)"', re.S)
    for match in literal.finditer(source):
        text = match[1]
        if text is None:
            continue
        text = re.sub(r"\\\n\s*", "", text).replace('\\"', '"')
        has_operator = speaks_sql and re.search(r"(?<=[\w)}\"]) [-+*/<>=~!@#%^&|]+ (?=[\w($\"{])", text)
        if has_operator or re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH|VALUES)\s+\S+\s+\S", text):
            line = source.count("\n", 0, match.start()) + 1
            yield from ((line, word) for word in unqualified(text))


def check():
    """Everything that is found, as lines to show."""
    chain = sorted((ROOT / "sql").glob("*.sql"), key=lambda path: path.stem.split("--")[1:][::-1])
    found = []
    defined = functions(path.read_text() for path in chain)
    for (name, _), definition in defined.items():
        others, runners = RUN_BY_OTHERS.get(name, (frozenset(), ()))
        found += [f"function {name}: {word}" for word in in_function(definition, others)
                  if not (word == "::text" and name in REWRITTEN_CASTS)]
        found += [f"function {runner} runs statements of {name} without a search path" for runner in runners
                  if not _is_locked(defined, runner)]
        runs = re.compile(rf"\bEXECUTE\s+statements\.({'|'.join(others)})\b") if others else None
        user = name.removesuffix("_sql")
        found += [f"function {user}: runs a statement that others are to run" for key, text in defined.items()
                  if runs and key[0] == user and runs.search(text)]
    for path in sorted((ROOT / "src").rglob("*.rs")):
        where = path.relative_to(ROOT)
        found += [f"{where}:{line}: {word}" for line, word in in_rust(path.read_text())]
    return found


def _is_locked(defined, name):
    return any(key[0] == name and re.search(r"\bSET\s+search_path\b", _halves(text)[0]) for key, text in defined.items())


def _command():
    found = check()
    print("\n".join([*found, ADVICE] if found else ["every name has its schema"]))
    return bool(found)


if __name__ == "__main__":
    main(_command)
