package transport

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"
)

// head is what differs between the answers' headers.
type head struct {
	status int
	fields string
}

var (
	callHead    = head{200, "Content-type: text/xml; charset=utf-8\r\n"}
	optionsHead = head{200, "Allow: POST\r\n"}
)

func errorHead(status int) head { return head{status, "Content-type: text/html\r\n"} }

// page is the HTML page of an error.
func (e *httpError) page() []byte {
	return fmt.Appendf(nil, "<HTML><HEAD><TITLE>Error %d</TITLE></HEAD><BODY><H1>Error %d</H1><P>%s</P></BODY></HTML>\r\n",
		e.status, e.status, e.text)
}

// respond sends an answer whose body, size bytes, are parts. It tells whether the
// client got it.
func (c *conn) respond(rq *request, h head, parts net.Buffers, size int) bool {
	header := c.header(make([]byte, 0, 256), rq, h, size)
	all := make(net.Buffers, 0, len(parts)+1)
	all = append(append(all, header), parts...)
	err := c.write(all, len(header)+size)
	c.srv.access.record(c.nc.RemoteAddr(), rq.method, h.status, len(header)+size)
	return err == nil
}

// header writes the status line and the fields, in the order and letter case 4.6
// has them.
func (c *conn) header(b []byte, rq *request, h head, size int) []byte {
	conf := &c.srv.conf
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(h.status), 10)
	b = append(b, ' ')
	b = append(b, http.StatusText(h.status)...)
	b = append(b, "\r\n"...)
	b = append(b, h.fields...)
	b = append(b, "Content-length: "...)
	b = strconv.AppendInt(b, int64(size), 10)
	if rq.keepAlive {
		b = append(b, "\r\nConnection: Keep-Alive\r\nKeep-Alive: timeout="...)
		b = strconv.AppendInt(b, int64(conf.IdleTimeout/time.Second), 10)
		b = append(b, ", max="...)
		b = strconv.AppendInt(b, int64(conf.KeepAliveMax), 10)
	} else {
		b = append(b, "\r\nConnection: close"...)
	}
	b = append(b, "\r\nDate: "...)
	b = append(b, c.srv.now()...)
	b = append(b, "\r\nServer: "...)
	b = append(b, conf.ServerName...)
	return append(b, "\r\n\r\n"...)
}

// dateField is the value of the Date field in one second.
type dateField struct {
	second int64
	text   string
}

// now is the value of a Date field.
func (s *Server) now() string {
	t := time.Now()
	if d := s.date.Load(); d != nil && d.second == t.Unix() {
		return d.text
	}
	d := &dateField{t.Unix(), t.UTC().Format(http.TimeFormat)}
	s.date.Store(d)
	return d.text
}
