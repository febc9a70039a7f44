package dashboard

import (
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"github.com/tenter-dev/tenter/access"
	"github.com/tenter-dev/tenter/inspect"
)

// Options are options of [New]. The zero value is a dashboard for people who can read the log of
// the process: it has the link to sign in with.
type Options struct {
	// Title is shown beside the name, to tell dashboards apart: such as "production".
	Title string

	// Access says who may look and who may act. With keys people sign in with one of them; a
	// key for reading only shows what ReadOnly shows. With the zero value there is one key,
	// which may do everything and is made when the program starts; a link with it is logged when
	// somebody comes who needs it.
	Access access.Policy

	// ReadOnly leaves out all that changes anything, whoever asks, and masks generated
	// tokens of hooks, see [inspect.ReadOnly].
	ReadOnly bool

	// Logger gets what no page can show: errors of the server, and the link to sign in
	// with if the zero value of Access has made a key. The default is slog.Default().
	Logger *slog.Logger
}

// New returns the dashboard of what c sees. Mount it at a path that ends in a slash, and
// strip that path but for the slash with [http.StripPrefix]; all pages are directly below
// it. New panics where [access.NewGuard] does, as for an API key that is too short.
func New(c inspect.Client, opts Options) http.Handler {
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	d := &dashboard{client: c, reader: inspect.ReadOnly(c), opts: opts, guard: access.NewGuard(opts.Access)}
	pages() // now, and not at the first request
	mux := http.NewServeMux()
	mux.Handle("GET /static/", assets)

	mux.HandleFunc("GET /{$}", d.page(d.runs))
	mux.HandleFunc("GET /failures", d.page(d.failures))
	mux.HandleFunc("GET /find", d.page(d.find))
	mux.HandleFunc("GET /run", d.page(d.run))
	mux.HandleFunc("GET /journal", d.page(d.journal))
	mux.HandleFunc("GET /event", d.page(d.event))
	mux.HandleFunc("GET /payload", d.page(d.payload))
	mux.HandleFunc("GET /hooks", d.page(d.hooks))
	mux.HandleFunc("GET /hook", d.page(d.hook))
	mux.HandleFunc("GET /links", d.page(d.links))
	mux.HandleFunc("GET /topics", d.page(d.topics))
	mux.HandleFunc("GET /refused", d.page(d.refused))
	mux.HandleFunc("GET /workflows", d.page(d.workflows))
	mux.HandleFunc("GET /help", d.page(d.help))
	mux.HandleFunc("GET /live", d.page(d.live))
	mux.HandleFunc("POST /theme", d.page(d.theme))
	mux.HandleFunc("POST /signout", d.page(d.signOut))

	mux.HandleFunc("GET /signin", d.open(d.signInForm))
	mux.HandleFunc("POST /signin", d.open(d.signIn))

	// What changes something.
	mux.HandleFunc("POST /hook", d.page(d.acting(d.resume)))
	mux.HandleFunc("GET /publish", d.page(d.acting(d.publishForm)))
	mux.HandleFunc("POST /publish", d.page(d.acting(d.publish)))
	mux.HandleFunc("POST /redeliver", d.page(d.acting(d.redeliver)))
	mux.HandleFunc("GET /start", d.page(d.acting(d.startForm)))
	mux.HandleFunc("POST /start", d.page(d.acting(d.start)))
	mux.HandleFunc("GET /act", d.page(d.acting(d.confirm)))
	mux.HandleFunc("POST /act", d.page(d.acting(d.act)))

	mux.HandleFunc("/", d.page(func(*request) error { return errNoPage }))

	protected := http.NewCrossOriginProtection().Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setHeaders(w.Header())
		if !strings.HasPrefix(r.URL.Path, "/") { // StripPrefix has taken the slash as well
			r2 := new(http.Request)
			*r2 = *r
			u := *r.URL
			u.Path, u.RawPath = "/"+u.Path, ""
			r2.URL = &u
			r = r2
		}
		protected.ServeHTTP(w, r)
	})
}

type dashboard struct {
	client inspect.Client
	reader inspect.Client // the same, for those who only look
	opts   Options
	guard  *access.Guard

	announced sync.Once // the link with the key that the guard has made
	streams   streams
}

// setHeaders sets what all answers have. Nothing on a page may come from elsewhere, be
// written into it as script or style, or show it in a frame.
func setHeaders(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "+
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types tenter")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin") // no-referrer would take the Origin off forms
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Cache-Control", "no-store")
}
