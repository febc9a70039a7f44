package server

import (
	"cmp"
	"context"
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

// Option is an option of [Webhooks] and [Webhook], such as [Options].
type Option interface {
	applyWebhook(*webhookHandler)
}

// Options configure the handlers. The zero value works, and is the default.
type Options struct {
	// Logger gets what goes wrong and is not the caller's fault; and requests that were
	// refused, or have found no run where one could start, at most 20 lines a minute of a
	// handler: a line says how many had none. On a route of the app's own they name its
	// pattern, since the path may have a token in it. The default is slog.Default().
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

func (o Options) applyWebhook(h *webhookHandler) { h.opts = withDefaults(o) }

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
func Webhooks(e *engine.Engine, opts ...Option) http.Handler {
	return newHandler(&webhookHandler{engine: e, token: pathToken, public: true}, opts)
}

// Webhook serves webhooks from a route of the app's own: token finds the webhook's
// token from a request that the app has authenticated. It may read the body, which is
// delivered whole all the same. If token fails, or the token is unknown, the answer
// is 404.
func Webhook(e *engine.Engine, token func(*http.Request) (string, error), opts ...Option) http.Handler {
	return newHandler(&webhookHandler{engine: e, token: token}, opts)
}

func newHandler(h *webhookHandler, opts []Option) http.Handler {
	if h.engine == nil {
		panic("server: the engine is nil")
	}
	h.opts = withDefaults(Options{})
	for _, opt := range opts {
		if opt != nil {
			opt.applyWebhook(h)
		}
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
	token, err := url.PathUnescape(escaped)
	if err != nil || run.BadName(token, run.MaxToken) != "" {
		return "", errNoToken
	}
	return token, nil
}

type webhookHandler struct {
	engine *engine.Engine
	token  func(*http.Request) (string, error)
	public bool // the route is that of all webhooks, of any sender, and anybody can name a token
	opts   Options

	first     *engine.FirstRequest
	declared  []declared
	strangers run.PerMinute // lines about what anybody may cause
}

func (h *webhookHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	in := newIntake(w, r, int64(run.MaxPayload(h.engine)), h.opts.ReadTimeout)
	if in == nil {
		return
	}
	if !h.public && h.handshake(w, r, in) { // it need not have a token
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
	if h.public && h.handshake(w, r, in) {
		return
	}
	hook, err := h.webhook(r, in, token)
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
	resp, err := hook.Deliver(traced(r).Context(), h.request(r, body))
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.write(w, resp)
}

// request is a request as an engine takes it.
func (h *webhookHandler) request(r *http.Request, body []byte) *workflow.Request {
	return &workflow.Request{
		Method: r.Method, URL: requestURL(r), Host: r.Host, Header: r.Header, Body: body, RemoteAddr: h.remote(r),
	}
}

// handshake answers a request by which a sender checks that a URL is ready for it, and reports
// whether it has answered. Nothing is looked up: the answer does not depend on the webhook.
func (h *webhookHandler) handshake(w http.ResponseWriter, r *http.Request, in *intake) bool {
	if !h.engine.MayHandshake(h.request(r, nil)) {
		return false
	}
	body, ok := in.all()
	if !ok {
		in.problem().write(w)
		return true
	}
	resp, err := h.engine.Handshake(r.Context(), h.request(r, body))
	if err != nil {
		h.fail(w, r, err)
		return true
	}
	if resp == nil {
		return false
	}
	h.write(w, *resp)
	return true
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
		if h.first == nil {
			notFound(w)
			return
		}
		if unlogged, ok := h.strangers.Take(time.Now()); ok {
			h.opts.Logger.WarnContext(r.Context(), "a webhook request has found no run, and started none", "route", h.route(r), "error", err, "unlogged", unlogged)
		}
		notFound(w)
	case errors.Is(err, workflow.ErrRunExists):
		problem{Status: http.StatusConflict, Detail: "the run that the request would start is there already"}.write(w)
	case errors.Is(err, workflow.ErrPayloadTooLarge):
		problem{Status: http.StatusRequestEntityTooLarge}.write(w)
	case errors.Is(err, engine.ErrNotVerified):
		if unlogged, ok := h.strangers.Take(time.Now()); ok {
			h.opts.Logger.WarnContext(r.Context(), "refused a webhook request", "route", h.route(r), "error", err, "unlogged", unlogged)
		}
		problem{Status: http.StatusUnauthorized, Detail: "the signature is missing, wrong, or too old"}.write(w)
	case errors.Is(err, engine.ErrNoResponse):
		problem{Status: http.StatusInternalServerError, Detail: "the request was taken, and the run ended without a response"}.write(w)
	case errors.Is(err, engine.ErrResponseTimeout):
		problem{Status: http.StatusGatewayTimeout, Detail: "the request was taken, and the run has not responded yet"}.write(w)
	case errors.Is(err, engine.ErrPaused):
		problem{Status: http.StatusGatewayTimeout, Detail: "the request was taken, and the run is paused"}.write(w)
	case errors.Is(err, engine.ErrStopping):
		w.Header().Set("Retry-After", retryAfter)
		problem{Status: http.StatusServiceUnavailable, Detail: "the server stops; the request was taken"}.write(w)
	case errors.Is(err, workflow.ErrEngineClosed):
		w.Header().Set("Retry-After", retryAfter)
		problem{Status: http.StatusServiceUnavailable}.write(w)
	default:
		if r.Context().Err() == nil || !errors.Is(err, context.Canceled) { // else the caller has hung up
			h.opts.Logger.ErrorContext(r.Context(), "webhook request failed", "route", h.route(r), "error", err)
		}
		problem{Status: http.StatusInternalServerError}.write(w)
	}
}

// route is how the log names the way by which a request came: on a route of the app's own the pattern,
// as only the app knows where in the path a token is.
func (h *webhookHandler) route(r *http.Request) string {
	if h.public {
		return run.RedactPath(r.URL.Path)
	}
	return r.Pattern
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
