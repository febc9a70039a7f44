package server

import (
	"cmp"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
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

// Options configure the handlers. The zero value works.
type Options struct {
	// Logger gets what goes wrong and is not the caller's fault, and refused
	// signatures. The default is slog.Default().
	Logger *slog.Logger

	// ReadTimeout bounds the reading of a body, in place of http.Server.ReadTimeout.
	// The default is 30 s.
	ReadTimeout time.Duration

	// WriteTimeout bounds the writing of an answer. It takes the place of
	// http.Server.WriteTimeout, which would cut off callers who wait for a run. The
	// default is 30 s.
	WriteTimeout time.Duration

	// TrustForwarded takes the caller's address from X-Forwarded-For, its last entry.
	// Set it only behind a proxy that sets the header.
	TrustForwarded bool
}

func withDefaults(o Options) Options {
	o.ReadTimeout = cmp.Or(o.ReadTimeout, 30*time.Second)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, 30*time.Second)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

// Webhooks serves the webhooks of all runs. Mount it at [WebhookPath]; it does not
// mind a prefix before it.
func Webhooks(e *engine.Engine, opts Options) http.Handler {
	return newHandler(e, pathToken, opts)
}

// Webhook serves webhooks from a route of the app's own: token finds the webhook's
// token from a request that the app has authenticated. It may read the body, which is
// delivered whole all the same. If token fails, or the token is unknown, the answer
// is 404.
func Webhook(e *engine.Engine, token func(*http.Request) (string, error), opts Options) http.Handler {
	return newHandler(e, token, opts)
}

func newHandler(e *engine.Engine, token func(*http.Request) (string, error), opts Options) http.Handler {
	if e == nil {
		panic("server: the engine is nil")
	}
	return &webhookHandler{engine: e, token: token, opts: withDefaults(opts)}
}

var errNoToken = errors.New("no token in the path")

// pathToken returns what follows WebhookPath, unescaped. Proxies may have unescaped
// its slashes.
func pathToken(r *http.Request) (string, error) {
	_, escaped, ok := strings.Cut(r.URL.EscapedPath(), WebhookPath)
	if !ok || escaped == "" {
		return "", errNoToken
	}
	token, err := url.PathUnescape(escaped)
	if err != nil || run.BadName(token, run.MaxToken) != "" {
		return "", errNoToken
	}
	return token, nil
}

type webhookHandler struct {
	engine *engine.Engine
	token  func(*http.Request) (string, error)
	opts   Options
}

func (h *webhookHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	in := newIntake(w, r, int64(run.MaxPayload(h.engine)), h.opts.ReadTimeout)
	if in == nil {
		return
	}
	token, err := h.token(in.request())
	if err != nil {
		if in.err != nil {
			in.problem().write(w)
		} else {
			notFound(w)
		}
		return
	}
	hook, err := h.engine.Webhook(r.Context(), token)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	if !slices.Contains(hook.Methods(), r.Method) {
		refuseMethod(w, r, hook)
		return
	}
	body, ok := in.all()
	if !ok {
		if hook.Released() {
			notFound(w)
		} else {
			in.problem().write(w)
		}
		return
	}
	resp, err := hook.Deliver(traced(r).Context(), &workflow.Request{
		Method: r.Method, URL: requestURL(r), Host: r.Host, Header: r.Header, Body: body, RemoteAddr: h.remote(r),
	})
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.write(w, resp)
}

// requestURL is what the caller asked for, also below http.StripPrefix.
func requestURL(r *http.Request) *url.URL {
	if u, err := url.ParseRequestURI(r.RequestURI); err == nil {
		return u
	}
	return r.URL
}

// refuseMethod answers requests that don't resume a webhook.
func refuseMethod(w http.ResponseWriter, r *http.Request, hook *engine.Webhook) {
	if hook.Released() {
		notFound(w)
		return
	}
	w.Header().Set("Allow", strings.Join(append(slices.Clone(hook.Methods()), http.MethodOptions), ", "))
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	problem{Status: http.StatusMethodNotAllowed}.write(w)
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

func (h *webhookHandler) write(w http.ResponseWriter, resp workflow.Response) {
	header := w.Header()
	maps.Copy(header, resp.Header)
	if header.Get("Content-Type") == "" && len(resp.Body) > 0 {
		header.Set("X-Content-Type-Options", "nosniff")
	}
	if !bodyAllowed(resp.Status) {
		resp.Body = nil
	} else {
		header.Set("Content-Length", strconv.Itoa(len(resp.Body)))
	}
	// What fails from here on fails because the caller has gone, or is too slow: the
	// answer is recorded.
	c := http.NewResponseController(w)
	_ = c.SetWriteDeadline(time.Now().Add(h.opts.WriteTimeout))
	w.WriteHeader(resp.Status)
	_, _ = w.Write(resp.Body)
	_ = c.Flush()
	_ = c.SetWriteDeadline(time.Time{}) // the connection may serve other requests
}

func bodyAllowed(status int) bool {
	return status != http.StatusNoContent && status != http.StatusNotModified
}
