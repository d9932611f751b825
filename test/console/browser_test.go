//go:build e2e

package console

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"goned/test/output"
)

// browser is one page of a headless Chromium, driven over its DevTools protocol.
type browser struct {
	t  testing.TB
	ws *websocket.Conn
	id int
}

var devTools = regexp.MustCompile(`DevTools listening on ws://([^/]+)/`)

func startBrowser(t testing.TB) *browser {
	t.Helper()
	chromium := need(t, "chromium", "chromium-browser", "google-chrome")
	var log output.Buffer
	cmd := exec.Command(chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--remote-debugging-port=0", "--window-size=1000,760", "--user-data-dir="+t.TempDir(), "about:blank")
	cmd.Stderr = &log
	startProcess(t, cmd)
	var address string
	eventually(t, func() (bool, string) {
		m := devTools.FindStringSubmatch(log.String())
		if m != nil {
			address = m[1]
		}
		return m != nil, "Chromium does not start:\n" + log.String()
	})
	req, err := http.NewRequest(http.MethodPut, "http://"+address+"/json/new?about:blank", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var page struct {
		URL string `json:"webSocketDebuggerUrl"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&page); err != nil {
		t.Fatal(err)
	}
	ws, _, err := websocket.DefaultDialer.Dial(page.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.Close() })
	_ = ws.SetReadDeadline(time.Now().Add(5 * time.Minute))
	b := &browser{t: t, ws: ws}
	b.call("Page.enable", nil, nil)
	return b
}

// call executes one DevTools command and stores its result in result.
func (b *browser) call(method string, params, result any) {
	b.t.Helper()
	b.id++
	if params == nil {
		params = struct{}{}
	}
	if err := b.ws.WriteJSON(map[string]any{"id": b.id, "method": method, "params": params}); err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	for {
		var answer struct {
			ID     int             `json:"id"`
			Result json.RawMessage `json:"result"`
			Error  *struct {
				Message string `json:"message"`
			} `json:"error"`
		}
		if err := b.ws.ReadJSON(&answer); err != nil {
			b.t.Fatalf("%s: %v", method, err)
		}
		if answer.ID != b.id {
			continue // an event
		}
		if answer.Error != nil {
			b.t.Fatalf("%s: %s", method, answer.Error.Message)
		}
		if result != nil {
			if err := json.Unmarshal(answer.Result, result); err != nil {
				b.t.Fatalf("%s: %v", method, err)
			}
		}
		return
	}
}

func (b *browser) open(url string) {
	b.t.Helper()
	b.call("Page.navigate", map[string]string{"url": "about:blank"}, nil)
	b.call("Page.navigate", map[string]string{"url": url}, nil)
}

// eval returns the string an expression yields, or "" if it throws.
func (b *browser) eval(expression string) string {
	b.t.Helper()
	var r struct {
		Result struct {
			Value any `json:"value"`
		} `json:"result"`
	}
	b.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true}, &r)
	if r.Result.Value == nil {
		return ""
	}
	return fmt.Sprint(r.Result.Value)
}

// wantText waits until the element id shows text.
func (b *browser) wantText(id, text string) {
	b.t.Helper()
	eventually(b.t, func() (bool, string) {
		got := b.eval(fmt.Sprintf("document.getElementById(%q).textContent", id))
		return strings.Contains(got, text), fmt.Sprintf("#%s shows %q, want %q", id, got, text)
	})
}

// typeKeys presses and releases the keys of a text, as on a US keyboard.
func (b *browser) typeKeys(text string) {
	b.t.Helper()
	for _, r := range text {
		key, code, vk := string(r), "", int(r)
		switch {
		case r >= 'a' && r <= 'z':
			vk = int(r - 'a' + 'A')
			code = "Key" + strings.ToUpper(key)
		case r >= '0' && r <= '9':
			code = "Digit" + key
		case r == ' ':
			code = "Space"
		case r == '\r':
			key, code = "Enter", "Enter"
		default:
			b.t.Fatalf("no key for %q", r)
		}
		event := map[string]any{"type": "keyDown", "key": key, "code": code, "windowsVirtualKeyCode": vk, "text": string(r)}
		b.call("Input.dispatchKeyEvent", event, nil)
		delete(event, "text")
		event["type"] = "keyUp"
		b.call("Input.dispatchKeyEvent", event, nil)
	}
}

// canvas returns what noVNC has drawn, or nil if it has not yet.
func (b *browser) canvas() image.Image {
	b.t.Helper()
	data, ok := strings.CutPrefix(b.eval("document.querySelector('canvas').toDataURL('image/png')"), "data:image/png;base64,")
	if !ok {
		return nil
	}
	text, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		b.t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(text))
	if err != nil {
		b.t.Fatal(err)
	}
	return img
}

// screenshot keeps a picture of the page among the test artifacts.
func (b *browser) screenshot(name string) {
	b.t.Helper()
	var r struct {
		Data []byte `json:"data"`
	}
	b.call("Page.captureScreenshot", map[string]string{"format": "png"}, &r)
	dir := filepath.Join("..", "artifacts", "console")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), r.Data, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// wantDrawn waits until the browser shows what the guest's screen shows. VNC
// may compress with loss, so a pixel may differ a little and a few of them more.
func wantDrawn(t testing.TB, b *browser, g *guest) {
	t.Helper()
	eventually(t, func() (bool, string) {
		want, got := g.screen(), b.canvas()
		if got == nil || got.Bounds().Size() != want.Bounds().Size() {
			return false, fmt.Sprintf("canvas %v, want one of %v", got != nil, want.Bounds().Size())
		}
		size := want.Bounds().Size()
		off, lit := 0, 0
		for i := range size.X * size.Y {
			x, y := i%size.X, i/size.X
			if w := brightness(want, x, y); abs(w-brightness(got, x, y)) > 48 {
				off++
			} else if w > 128 {
				lit++
			}
		}
		return off <= size.X*size.Y/1000 && lit > 200, fmt.Sprintf("%d of %d pixels differ, %d are lit", off, size.X*size.Y, lit)
	})
}

func brightness(img image.Image, x, y int) int {
	r, g, b, _ := img.At(img.Bounds().Min.X+x, img.Bounds().Min.Y+y).RGBA()
	return int(r+g+b) / 3 >> 8
}

func abs(n int) int { return max(n, -n) }
