# Reads one XML document and answers path queries about it.
#
# Queries come in the environment, one a line, so that nothing has to survive
# awk's own escape processing:
#   XML_MODE=first  XML_QUERY: paths. The text of the first match of each, each
#                   followed by the byte 1 (an illegal character in XML).
#   XML_MODE=vars   XML_QUERY: NAME=path. Shell assignments, values quoted.
#   XML_MODE=each   XML_QUERY: a function name, the path of a repeated element,
#                   then paths relative to it. One quoted shell call a match.
#
# Paths: /A/B, //B, A/B, *, @attribute, and the predicates [3], [last()], [X],
# [X='v'], [X="v"], [X=3], [@a='v'], with X a relative path.
# Only features of POSIX awk; run it with LC_ALL=C.

BEGIN {
    RS = "<"
    nodes = 0
    current = 0
    name[0] = ""
}

NR == 1 { next }

inCdata {
    cdata = cdata "<" $0
    endCdata()
    next
}

inComment {
    endComment($0)
    next
}

/^!\[CDATA\[/ {
    inCdata = 1
    cdata = substr($0, 9)
    endCdata()
    next
}

/^!--/ {
    inComment = 1
    endComment(substr($0, 4))
    next
}

/^[!?]/ { next }

/^\// {
    gt = index($0, ">")
    if (!gt) { broken = 1; next }
    closing = substr($0, 2, gt - 2)
    sub(/[ \t\r\n]+$/, "", closing)
    if (current == 0 || closing != name[current]) { broken = 1; next }
    current = parent[current]
    addText(decode(substr($0, gt + 1)))
    next
}

{
    gt = tagEnd($0)
    if (!gt) { broken = 1; next }
    open(substr($0, 1, gt - 1))
    addText(decode(substr($0, gt + 1)))
}

END {
    if (broken || inCdata || inComment || current != 0 || nodes == 0) {
        print "malformed XML document" > "/dev/stderr"
        exit 1
    }
    count = split(ENVIRON["XML_QUERY"], query, "\n")
    mode = ENVIRON["XML_MODE"]
    if (mode == "first") {
        for (q = 1; q <= count; q++) print1(firstText(0, query[q]))
    } else if (mode == "vars") {
        for (q = 1; q <= count; q++) {
            eq = index(query[q], "=")
            print substr(query[q], 1, eq - 1) "=" quoted(firstText(0, substr(query[q], eq + 1)))
        }
    } else if (mode == "each") {
        found = matches(0, query[2])
        total = split(found, hit, " ")
        for (h = 1; h <= total; h++) {
            line = query[1]
            for (q = 3; q <= count; q++) line = line " " quoted(firstText(hit[h], query[q]))
            print line
        }
    }
}

function print1(value) { ORS = "\001"; print value; ORS = "\n" }

function endCdata(   at) {
    at = index(cdata, "]]>")
    if (!at) return
    inCdata = 0
    addText(substr(cdata, 1, at - 1))
    addText(decode(substr(cdata, at + 3)))
}

function endComment(rest,   at) {
    at = index(rest, "-->")
    if (!at) return
    inComment = 0
    addText(decode(substr(rest, at + 3)))
}

# tagEnd finds the ">" that ends a tag: one inside an attribute value does not.
function tagEnd(tag,   i, c, inQuote, gt) {
    gt = index(tag, ">")
    if (!match(substr(tag, 1, gt), /["']/)) return gt
    for (i = 1; i <= length(tag); i++) {
        c = substr(tag, i, 1)
        if (inQuote != "") { if (c == inQuote) inQuote = "" }
        else if (c == "\"" || c == "'") inQuote = c
        else if (c == ">") return i
    }
    return 0
}

function open(tag,   empty, end) {
    empty = (tag ~ /\/$/)
    if (empty) tag = substr(tag, 1, length(tag) - 1)
    end = match(tag, /[ \t\r\n]/)
    nodes++
    name[nodes] = end ? substr(tag, 1, end - 1) : tag
    attributes[nodes] = end ? substr(tag, end) : ""
    parent[nodes] = current
    if (lastChild[current]) nextSibling[lastChild[current]] = nodes
    else firstChild[current] = nodes
    lastChild[current] = nodes
    if (!empty) current = nodes
}

# Only the text before an element's first child counts as its value.
function addText(value) {
    if (value != "" && current && !firstChild[current]) text[current] = text[current] value
}

function decode(s,   part, n, i, end, ref, out) {
    if (!index(s, "&")) return s
    n = split(s, part, "&")
    out = part[1]
    for (i = 2; i <= n; i++) {
        end = index(part[i], ";")
        ref = end ? entity(substr(part[i], 1, end - 1)) : ""
        if (ref == "") out = out "&" part[i]
        else out = out ref substr(part[i], end + 1)
    }
    return out
}

function entity(ref) {
    if (ref == "amp") return "&"
    if (ref == "lt") return "<"
    if (ref == "gt") return ">"
    if (ref == "quot") return "\""
    if (ref == "apos") return "'"
    if (ref ~ /^#[0-9]+$/) return utf8(substr(ref, 2) + 0)
    if (ref ~ /^#[xX][0-9a-fA-F]+$/) return utf8(hex(tolower(substr(ref, 3))))
    return ""
}

function hex(digits,   i, value) {
    for (i = 1; i <= length(digits); i++)
        value = value * 16 + index("0123456789abcdef", substr(digits, i, 1)) - 1
    return value
}

function utf8(code) {
    if (code < 1 || code > 1114111) return ""
    if (code < 128) return sprintf("%c", code)
    if (code < 2048) return sprintf("%c%c", 192 + int(code / 64), 128 + code % 64)
    if (code < 65536)
        return sprintf("%c%c%c", 224 + int(code / 4096), 128 + int(code / 64) % 64, 128 + code % 64)
    return sprintf("%c%c%c%c", 240 + int(code / 262144), 128 + int(code / 4096) % 64, 128 + int(code / 64) % 64, 128 + code % 64)
}

# quoted wraps a value in single quotes for a POSIX shell. Joined by hand: how
# backslashes in a gsub replacement are read differs between awks.
function quoted(s,   part, n, i, out) {
    n = split(s, part, "'")
    out = n ? part[1] : ""
    for (i = 2; i <= n; i++) out = out "'\\''" part[i]
    return "'" out "'"
}

function attribute(node, wanted,   rest, at, mark, end, key) {
    rest = attributes[node]
    while (match(rest, /[^ \t\r\n=]+[ \t\r\n]*=[ \t\r\n]*["']/)) {
        key = substr(rest, RSTART, RLENGTH)
        mark = substr(key, length(key), 1)
        at = RSTART + RLENGTH
        sub(/[ \t\r\n]*=.*/, "", key)
        rest = substr(rest, at)
        end = index(rest, mark)
        if (!end) return ""
        if (key == wanted) return decode(substr(rest, 1, end - 1))
        rest = substr(rest, end + 1)
    }
    return ""
}

# firstText returns the text of the first match of a path, or the value of the
# attribute its last step names.
function firstText(from, path,   slash, found, hit, n, i, value) {
    # Kept aside: the calls below use match, too.
    slash = match(path, /(^|\/)@[^\/@]*$/)
    if (!slash) {
        found = matches(from, path)
        split(found, hit, " ")
        return (hit[1] == "") ? "" : text[hit[1]]
    }
    found = from
    if (slash > 1) found = matches(from, substr(path, 1, slash - 1))
    path = substr(path, slash)
    sub(/^\/?@/, "", path)
    n = split(found, hit, " ")
    for (i = 1; i <= n; i++) {
        value = attribute(hit[i], path)
        if (value != "") return value
    }
    return ""
}

# matches returns the numbers of the nodes a path selects, separated by blanks,
# in document order. A path that starts with a slash starts at the document.
function matches(from, path,   set, deep, step) {
    set = from ""
    if (path ~ /^\//) set = "0"
    else path = "/" path
    while (path != "" && set != "") {
        deep = (substr(path, 1, 2) == "//")
        path = substr(path, deep ? 3 : 2)
        step = stepLength(path)
        set = select(set, substr(path, 1, step), deep)
        path = substr(path, step + 1)
    }
    return set
}

# stepLength measures the first step of a path; a slash inside a predicate or
# a quoted value belongs to it.
function stepLength(path,   i, c, depth, mark) {
    for (i = 1; i <= length(path); i++) {
        c = substr(path, i, 1)
        if (mark != "") { if (c == mark) mark = "" }
        else if (c == "'" || c == "\"") mark = c
        else if (c == "[") depth++
        else if (c == "]") depth--
        else if (c == "/" && !depth) return i - 1
    }
    return length(path)
}

function select(set, step, deep,   node, n, i, wanted, predicates, at, out, got) {
    at = index(step, "[")
    wanted = at ? substr(step, 1, at - 1) : step
    predicates = at ? substr(step, at) : ""
    n = split(set, node, " ")
    for (i = 1; i <= n; i++) {
        got = filter(deep ? descendants(node[i], wanted) : children(node[i], wanted), predicates)
        if (got != "") out = out (out == "" ? "" : " ") got
    }
    return out
}

function children(node, wanted,   child, out) {
    for (child = firstChild[node]; child; child = nextSibling[child])
        if (wanted == "*" || name[child] == wanted) out = out (out == "" ? "" : " ") child
    return out
}

function descendants(node, wanted,   child, out, below) {
    for (child = firstChild[node]; child; child = nextSibling[child]) {
        if (wanted == "*" || name[child] == wanted) out = out (out == "" ? "" : " ") child
        below = descendants(child, wanted)
        if (below != "") out = out (out == "" ? "" : " ") below
    }
    return out
}

function filter(set, predicates,   end, test, node, n, i, out) {
    while (predicates != "" && set != "") {
        end = predicateEnd(predicates)
        if (!end) return ""
        test = substr(predicates, 2, end - 2)
        predicates = substr(predicates, end + 1)
        n = split(set, node, " ")
        out = ""
        for (i = 1; i <= n; i++)
            if (holds(node[i], test, i, n)) out = out (out == "" ? "" : " ") node[i]
        set = out
    }
    return set
}

function predicateEnd(s,   i, c, depth, mark) {
    for (i = 1; i <= length(s); i++) {
        c = substr(s, i, 1)
        if (mark != "") { if (c == mark) mark = "" }
        else if (c == "'" || c == "\"") mark = c
        else if (c == "[") depth++
        else if (c == "]" && --depth == 0) return i
    }
    return 0
}

function holds(node, test, position, total,   eq, left, right, mark) {
    if (test ~ /^[0-9]+$/) return position == test + 0
    if (test == "last()") return position == total
    eq = index(test, "=")
    if (!eq) return matches(node, test) != ""
    left = substr(test, 1, eq - 1)
    right = substr(test, eq + 1)
    mark = substr(right, 1, 1)
    if (mark == "'" || mark == "\"") right = substr(right, 2, length(right) - 2)
    return firstText(node, left) "" == right ""
}
