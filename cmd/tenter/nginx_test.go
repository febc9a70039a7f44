package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/dashboard"
	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/store/sqlite"
)

// Behind nginx with nothing but proxy_pass, all the world comes from a loopback address,
// with a loopback address as its Host, and no header tells. So what is served without a
// configured token must not be served to whoever comes from there.
func TestBehindNginx(t *testing.T) {
	t.Parallel()
	name := nginx(t)
	db := filepath.Join(t.TempDir(), "app.db")
	st, err := sqlite.Open(db)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	eng, err := engine.New(st, engine.Options{Workflows: workflows("ask"), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = eng.Close() })

	seen := make(chan *http.Request, 1)
	var apiLog, dashboardLog output
	upstreams := map[string]string{
		"echo":             serveHandler(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r })),
		"API":              serveHandler(t, server.API(eng, server.APIOptions{Logger: slog.New(slog.NewTextHandler(&apiLog, nil))})),
		"dashboard":        serveHandler(t, dashboard.New(eng, dashboard.Options{Logger: slog.New(slog.NewTextHandler(&dashboardLog, nil))})),
		"tenter serve":     "",
		"tenter dashboard": "",
	}
	serve, dash := startTenter(t, "--db", db, "serve", "--listen", "127.0.0.1:0"), startTenter(t, "--db", db, "dashboard", "--listen", "127.0.0.1:0")
	serving := serve.waitFor(`export TENTER_SERVER=(http://\S+) TENTER_API_KEY=(\S+)`)
	link := dash.waitFor(`The dashboard is at (http://[^/]+)(/signin\S+)`)
	upstreams["tenter serve"], upstreams["tenter dashboard"] = serving[1], link[1]
	fronts := startNginx(t, name, upstreams)

	// So it is the attack, and not a proxy that tells.
	send(t, fronts["echo"], http.MethodGet, "/", "", nil)
	r := <-seen
	if host, _, _ := net.SplitHostPort(r.Host); host != "127.0.0.1" || !strings.HasPrefix(r.RemoteAddr, "127.0.0.1:") || len(r.Header["X-Forwarded-For"])+len(r.Header["Via"]) > 0 {
		t.Errorf("nginx gives itself away: host %s, from %s, %v", r.Host, r.RemoteAddr, r.Header)
	}

	const start = `{"workflow": "greet", "input": "Ada"}`
	apiKey := apiLog.find(`api_key=(\S+)`)
	for what, token := range map[string]string{"API": apiKey, "tenter serve": serving[2]} {
		if status, _ := send(t, fronts[what], http.MethodGet, "/api/v1/runs", "", nil); status != http.StatusUnauthorized {
			t.Errorf("%s: anybody gets %d for the runs", what, status)
		}
		if status, _ := send(t, fronts[what], http.MethodPost, "/api/v1/runs", start, nil); status != http.StatusUnauthorized {
			t.Errorf("%s: anybody gets %d for the start of a run", what, status)
		}
		if status, body := send(t, fronts[what], http.MethodGet, "/api/v1/runs", "", http.Header{"Authorization": {"Bearer " + token}}); status != http.StatusOK {
			t.Errorf("%s: with the token, the response is %d %s", what, status, body)
		}
	}
	for what, front := range map[string]*http.Client{"dashboard": fronts["dashboard"], "tenter dashboard": fronts["tenter dashboard"]} {
		if status, body := send(t, front, http.MethodGet, "/", "", nil); status != http.StatusOK || !strings.Contains(body, "<title>Sign in") {
			t.Errorf("%s: anybody gets %d %s", what, status, body)
		}
		if status, _ := send(t, front, http.MethodPost, "/start?workflow=greet", "as=json&json=1", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}); status != http.StatusUnauthorized {
			t.Errorf("%s: anybody gets %d for the start of a run", what, status)
		}
	}
	links := map[string]string{"dashboard": dashboardLog.find(`link=".*(/signin\?key=[^"]+)"`), "tenter dashboard": link[2]}
	for what, path := range links {
		if status, body := send(t, fronts[what], http.MethodGet, path, "", nil); status != http.StatusOK || !strings.Contains(body, "<title>Runs") {
			t.Errorf("%s: with the link one gets %d %s", what, status, body)
		}
	}
	if runs, err := eng.Runs(t.Context(), inspect.RunFilter{}); err != nil || len(runs) > 0 {
		t.Errorf("anybody has started %v, %v", runs, err)
	}
}

// nginx finds the program. Without it the test is skipped, or fails if
// TENTER_REQUIRE_NGINX is set.
func nginx(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"nginx", "/usr/sbin/nginx", "/usr/local/sbin/nginx"} {
		if found, err := exec.LookPath(name); err == nil {
			return found
		}
	}
	if os.Getenv("TENTER_REQUIRE_NGINX") != "" {
		t.Fatal("there is no nginx: install it (on Debian: apt-get install nginx-light)")
	}
	t.Skip("there is no nginx")
	return ""
}

// startNginx starts nginx in front of servers, and returns a client for each. It listens
// on sockets in a folder of its own, so it takes no port from anybody and nobody else gets
// to it; to those behind it connects over loopback.
func startNginx(t *testing.T, name string, upstreams map[string]string) map[string]*http.Client {
	t.Helper()
	dir, err := os.MkdirTemp("", "nginx") //nolint:usetesting // that of the test may be too long for the name of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	var servers strings.Builder
	sockets := map[string]string{}
	for what, url := range upstreams {
		sockets[what] = filepath.Join(dir, fmt.Sprint(len(sockets)))
		fmt.Fprintf(&servers, "server { listen unix:%s; location / { proxy_pass %s; } }\n", sockets[what], url)
	}
	config := fmt.Sprintf(`daemon off;
master_process off;
pid %[1]s/pid;
error_log stderr;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	%[2]s
}
`, dir, &servers)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var said output
	cmd := exec.CommandContext(t.Context(), name, "-p", dir, "-e", "stderr", "-c", file)
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })

	clients := map[string]*http.Client{}
	for what, socket := range sockets {
		dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}
		waitUntil(t, &said, func() (bool, error) {
			conn, err := dial(t.Context(), "", "")
			if err == nil {
				return true, conn.Close()
			}
			select {
			case <-ended:
				return false, errors.New("nginx has ended")
			default:
				return false, nil
			}
		})
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		clients[what] = &http.Client{Jar: jar, Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	}
	return clients
}

// waitUntil asks until it is so, and fails the test with what was said if that takes
// far too long.
func waitUntil(t *testing.T, said fmt.Stringer, so func() (bool, error)) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(patience); ; {
		done, err := so()
		switch {
		case err != nil:
			t.Fatalf("%v: %s", err, said)
		case done:
			return
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("it never was: %s", said)
		}
	}
}

// send sends a request through nginx, as a client from anywhere would.
func send(t *testing.T, client *http.Client, method, path, body string, header http.Header) (status int, answer string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://example.com"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	maps.Copy(r.Header, header)
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(data)
}

func serveHandler(t *testing.T, h http.Handler) (url string) {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}

// tenter is a call of the command that goes on.
type tenter struct {
	*testing.T
	out output
}

func startTenter(t *testing.T, args ...string) *tenter {
	t.Helper()
	c := &tenter{T: t}
	ctx, stop := context.WithCancel(t.Context())
	a := &app{ctx: ctx, stdin: strings.NewReader(""), stdout: &c.out, stderr: &c.out, env: func(string) (string, bool) { return "", false }}
	code := make(chan int, 1)
	go func() { code <- a.main(args) }()
	t.Cleanup(func() {
		stop()
		if code := <-code; code != 0 {
			t.Errorf("tenter %v exits with %d: %s", args, code, &c.out)
		}
	})
	return c
}

// waitFor waits until the command has printed what matches.
func (c *tenter) waitFor(pattern string) (match []string) {
	c.Helper()
	re := regexp.MustCompile(pattern)
	waitUntil(c.T, &c.out, func() (bool, error) {
		match = re.FindStringSubmatch(c.out.String())
		return match != nil, nil
	})
	return match
}

// output is what a program writes while a test reads it.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *output) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *output) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// find returns the group of a pattern, or nothing.
func (b *output) find(pattern string) string {
	if match := regexp.MustCompile(pattern).FindStringSubmatch(b.String()); match != nil {
		return match[1]
	}
	return ""
}
