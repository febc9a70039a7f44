package server

import (
	"cmp"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/workflow"
)

// WebhookPath is where the URLs of webhooks lead, below the public URL.
const WebhookPath = run.WebhookPath

// retryAfter is what callers are told that come while the server stops, in seconds.
const retryAfter = "5"

// Options configure the handlers of webhooks. The zero value works.
type Options struct {
	// Logger gets what goes wrong and is not the caller's fault, and refused
	// signatures. The default is slog.Default().
	Logger *slog.Logger

	// ReadTimeout bounds the reading of a body. The default is 30 s.
	ReadTimeout time.Duration

	// TrustForwarded takes the caller's address from X-Forwarded-For, its last entry.
	// Set it only behind a proxy that sets the header.
	TrustForwarded bool
}

// Webhooks serves the webhooks of all runs. Mount it at [WebhookPath]; it does not
// mind a prefix before it.
func Webhooks(e *engine.Engine, opts ...Options) http.Handler {
	return newHandler(e, pathToken, opts)
}

// Webhook serves webhooks from a route of the app's own: token finds the webhook's
// token from a request that the app has authenticated. If token fails, or the token
// is unknown, the answer is 404.
func Webhook(e *engine.Engine, token func(*http.Request) (string, error), opts ...Options) http.Handler {
	return newHandler(e, token, opts)
}

func newHandler(e *engine.Engine, token func(*http.Request) (string, error), opts []Options) http.Handler {
	h := &webhookHandler{engine: e, token: token}
	if len(opts) > 0 {
		h.opts = opts[0]
	}
	if h.opts.Logger == nil {
		h.opts.Logger = slog.Default()
	}
	if h.opts.ReadTimeout == 0 {
		h.opts.ReadTimeout = 30 * time.Second
	}
	return h
}

var errNoToken = errors.New("no token in the path")

// pathToken returns what follows WebhookPath, unescaped. Proxies may have unescaped
// its slashes.
func pathToken(r *http.Request) (string, error) {
	_, escaped, ok := strings.Cut(r.URL.EscapedPath(), WebhookPath)
	if !ok || escaped == "" {
		return "", errNoToken
	}
	return url.PathUnescape(escaped)
}

type webhookHandler struct {
	engine *engine.Engine
	token  func(*http.Request) (string, error)
	opts   Options
}

func (h *webhookHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token, err := h.token(r)
	if err != nil {
		notFound(w)
		return
	}
	hook, err := h.engine.Webhook(r.Context(), token)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	if !h.allowed(w, r, hook.Methods()) {
		return
	}
	body, ok := h.read(w, r, int64(hook.MaxBody()))
	if !ok {
		return
	}
	resp, err := hook.Deliver(r.Context(), &workflow.Request{
		Method: r.Method, URL: requestURL(r), Host: r.Host, Header: r.Header, Body: body, RemoteAddr: h.remote(r),
	})
	if err != nil {
		h.fail(w, r, err)
		return
	}
	write(w, resp)
}

// requestURL is what the caller asked for, also below http.StripPrefix.
func requestURL(r *http.Request) *url.URL {
	if u, err := url.ParseRequestURI(r.RequestURI); err == nil {
		return u
	}
	return r.URL
}

// allowed answers requests that don't resume a webhook.
func (h *webhookHandler) allowed(w http.ResponseWriter, r *http.Request, methods []string) bool {
	if slices.Contains(methods, r.Method) {
		return true
	}
	w.Header().Set("Allow", strings.Join(append(slices.Clone(methods), http.MethodOptions), ", "))
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return false
	}
	problem{Status: http.StatusMethodNotAllowed}.write(w)
	return false
}

// read reads the body within its limits.
func (h *webhookHandler) read(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, bool) {
	if r.ContentLength > limit {
		tooLarge(w, limit)
		return nil, false
	}
	// Not all ResponseWriters can; the server's own timeouts are there too.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(h.opts.ReadTimeout))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	if err == nil {
		return body, true
	}
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		tooLarge(w, limit)
	} else {
		problem{Status: http.StatusBadRequest, Detail: "the body could not be read"}.write(w)
	}
	return nil, false
}

func (h *webhookHandler) remote(r *http.Request) string {
	if !h.opts.TrustForwarded {
		return r.RemoteAddr
	}
	all := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	return cmp.Or(strings.TrimSpace(all[len(all)-1]), r.RemoteAddr)
}

// fail answers what went wrong, and tells no more than the caller may know.
func (h *webhookHandler) fail(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, workflow.ErrHookNotFound):
		notFound(w)
	case errors.Is(err, workflow.ErrPayloadTooLarge):
		problem{Status: http.StatusRequestEntityTooLarge}.write(w)
	case errors.Is(err, engine.ErrNotVerified):
		h.opts.Logger.WarnContext(r.Context(), "refused a webhook request", "path", run.RedactPath(r.URL.Path), "error", err)
		problem{Status: http.StatusUnauthorized, Detail: "the signature is missing, wrong, or too old"}.write(w)
	case errors.Is(err, engine.ErrNoResponse):
		problem{Status: http.StatusInternalServerError, Detail: "the request was taken, and the run ended without a response"}.write(w)
	case errors.Is(err, engine.ErrResponseTimeout):
		problem{Status: http.StatusGatewayTimeout, Detail: "the request was taken, and the run has not responded yet"}.write(w)
	case errors.Is(err, engine.ErrStopping):
		w.Header().Set("Retry-After", retryAfter)
		problem{Status: http.StatusServiceUnavailable, Detail: "the server stops; the request was taken"}.write(w)
	case errors.Is(err, workflow.ErrEngineClosed):
		w.Header().Set("Retry-After", retryAfter)
		problem{Status: http.StatusServiceUnavailable}.write(w)
	default:
		h.opts.Logger.ErrorContext(r.Context(), "webhook request failed", "path", run.RedactPath(r.URL.Path), "error", err)
		problem{Status: http.StatusInternalServerError}.write(w)
	}
}

func notFound(w http.ResponseWriter) { problem{Status: http.StatusNotFound}.write(w) }

func tooLarge(w http.ResponseWriter, limit int64) {
	w.Header().Set("Connection", "close")
	problem{Status: http.StatusRequestEntityTooLarge, Detail: "the limit is " + byteCount(limit)}.write(w)
}

func write(w http.ResponseWriter, resp workflow.Response) {
	header := w.Header()
	for name, values := range resp.Header {
		header[name] = values
	}
	if header.Get("Content-Type") == "" && len(resp.Body) > 0 {
		header.Set("X-Content-Type-Options", "nosniff")
	}
	w.WriteHeader(resp.Status)
	if len(resp.Body) > 0 && bodyAllowed(resp.Status) {
		_, _ = w.Write(resp.Body) // the caller has gone: the answer is recorded
	}
}

func bodyAllowed(status int) bool {
	return status != http.StatusNoContent && status != http.StatusNotModified
}
