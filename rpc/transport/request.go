package transport

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// request is the header of a request.
type request struct {
	method    string
	path      string
	minor     int // of HTTP/1.x
	length    int // of the body; -1 when the header does not say
	chunked   bool
	expect    bool // 100-continue
	keepAlive bool
}

// httpError is a request that gets an error page.
type httpError struct {
	status int
	text   string
}

func (e *httpError) Error() string { return fmt.Sprintf("HTTP %d: %s", e.status, e.text) }

func badRequest(format string, args ...any) *httpError {
	return &httpError{400, fmt.Sprintf(format, args...)}
}

// readHeader reads the request line and the header fields, up to the blank line.
func (c *conn) readHeader(rq *request) error {
	rq.length = -1
	left := c.srv.conf.MaxHeader
	line, err := c.readLine(&left)
	for err == nil && len(line) == 0 { // as RFC 9112 asks for
		line, err = c.readLine(&left)
	}
	if err != nil {
		return err
	}
	if err := rq.parseLine(string(line)); err != nil {
		return err
	}
	for {
		line, err := c.readLine(&left)
		if err != nil {
			return err
		}
		if len(line) == 0 {
			return nil
		}
		if line[0] == ' ' || line[0] == '\t' {
			continue // a folded value; none of those we read folds
		}
		if err := rq.parseField(line); err != nil {
			return err
		}
	}
}

// readLine returns the next line without its end, valid until more is read.
// left is how many bytes the header may still have.
func (c *conn) readLine(left *int) ([]byte, error) {
	seen := 0
	for {
		if i := bytes.IndexByte(c.buf[c.r+seen:c.w], '\n'); i >= 0 {
			line := c.buf[c.r : c.r+seen+i]
			c.r += len(line) + 1
			if *left -= len(line) + 1; *left < 0 {
				return nil, errHeaderSize
			}
			return bytes.TrimSuffix(line, []byte("\r")), nil
		}
		if seen = c.w - c.r; seen >= *left {
			return nil, errHeaderSize
		}
		if err := c.fill(c.start.Add(c.srv.conf.Timeout + c.srv.transferTime(c.total))); err != nil {
			return nil, err
		}
	}
}

var errHeaderSize = &httpError{431, "The request header is too large"}

// parseLine reads "POST /RPC2 HTTP/1.1".
func (rq *request) parseLine(line string) error {
	f := strings.Fields(line)
	if len(f) < 2 || len(f) > 3 {
		return badRequest("Not an HTTP request")
	}
	rq.method = f[0]
	version := ""
	if len(f) == 3 {
		version = f[2]
		if !strings.HasPrefix(version, "HTTP/") {
			return badRequest("Not an HTTP request")
		}
	}
	var ok bool
	if rq.path, ok = decodePath(f[1]); !ok {
		return badRequest("Not a valid address")
	}
	major, minor, _ := strings.Cut(strings.TrimPrefix(version, "HTTP/"), ".")
	n, err := strconv.ParseUint(minor, 10, 8)
	if version != "" && (err != nil || strings.Trim(major, "0123456789") != "") {
		return badRequest("Not an HTTP version: %s", version)
	}
	if major != "1" {
		return &httpError{505, "This server understands HTTP/1.x only"}
	}
	rq.minor = int(n)
	rq.keepAlive = rq.minor >= 1
	return nil
}

// decodePath returns the path of a request target without query, percent-decoded.
func decodePath(target string) (string, bool) {
	if _, rest, ok := strings.Cut(target, "://"); ok && !strings.HasPrefix(target, "/") {
		_, path, _ := strings.Cut(rest, "/")
		target = "/" + path
	}
	target, _, _ = strings.Cut(target, "?")
	if !strings.HasPrefix(target, "/") {
		return "", false
	}
	if !strings.Contains(target, "%") {
		return target, true
	}
	var out []byte
	for i := 0; i < len(target); i++ {
		b := target[i]
		if b == '%' {
			if i+2 >= len(target) {
				return "", false
			}
			n, err := strconv.ParseUint(target[i+1:i+3], 16, 8)
			if err != nil {
				return "", false
			}
			b, i = byte(n), i+2
		}
		out = append(out, b)
	}
	return string(out), true
}

// parseField reads one header field.
func (rq *request) parseField(line []byte) error {
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok || bytes.ContainsAny(name, " \t") {
		return badRequest("A header field has no colon after its name")
	}
	value = bytes.TrimSpace(value)
	switch {
	case equalFold(name, "content-length"):
		return rq.parseLength(string(value))
	case equalFold(name, "transfer-encoding"):
		switch {
		case equalFold(value, "chunked"):
			rq.chunked = true
		case !equalFold(value, "identity"):
			return &httpError{501, "The transfer encoding is not supported"}
		}
	case equalFold(name, "connection"):
		for _, t := range strings.Split(string(value), ",") {
			switch strings.ToLower(strings.TrimSpace(t)) {
			case "close":
				rq.keepAlive = false
			case "keep-alive":
				rq.keepAlive = true
			}
		}
	case equalFold(name, "expect"):
		rq.expect = equalFold(value, "100-continue") && rq.minor >= 1
	}
	return nil
}

func equalFold(b []byte, s string) bool { return len(b) == len(s) && strings.EqualFold(string(b), s) }

func (rq *request) parseLength(value string) error {
	if value == "" || strings.Trim(value, "0123456789") != "" {
		return badRequest("The content-length header is not a number")
	}
	n, err := strconv.Atoi(value)
	if err != nil {
		n = int(^uint(0) >> 1) // more digits than an int has: too large, whatever it is
	}
	if rq.length >= 0 && rq.length != n {
		return badRequest("The content-length headers contradict each other")
	}
	rq.length = n
	return nil
}

// check decides, from the header alone, whether a request can be handled.
func (rq *request) check(conf *Config) error {
	switch {
	case rq.path != conf.Path:
		return &httpError{404, "There is nothing at this address; the XML-RPC interface is at " + conf.Path}
	case rq.method != "POST" && rq.method != "OPTIONS":
		return &httpError{405, "POST is the only method this server understands"}
	case rq.chunked && rq.length >= 0:
		return badRequest("The request has both a length and a transfer encoding")
	case rq.length > conf.MaxBody:
		return tooLarge(rq.length)
	case rq.method == "OPTIONS" && rq.length < 0:
		rq.length = 0
	case rq.length < 0 && !rq.chunked:
		return &httpError{411, "An XML-RPC call needs a content-length header"}
	}
	return nil
}

// tooLarge is the refusal of a body of n bytes; status and text are those of 4.6.
func tooLarge(n int) *httpError {
	return &httpError{500, fmt.Sprintf("XML-RPC request too large (%d bytes)", n)}
}
