package dashboard

import (
	"errors"
	"net"
	"net/http"
	"strings"

	"github.com/tenter-dev/tenter/access"
	"github.com/tenter-dev/tenter/workflow"
)

const sessionCookie = "tenter_session"

var errNotAllowed = &problem{http.StatusForbidden, "Not allowed", errors.New("you are not allowed to look at this")}

// identify determines the scope of a request. It fails if that is none; of a page in a browser that
// can sign in, it answers itself then, and done is true.
func (d *dashboard) identify(r *request) (done bool, err error) {
	caller, err := d.guard.Check(r.Request)
	if errors.Is(err, access.ErrNoAPIKey) {
		caller = d.guard.Session(r.Request, r.session(), r.now)
		r.signedIn = caller.Scope != access.None
		if !r.signedIn {
			d.announce(r.Request)
			if r.Method == http.MethodGet && r.URL.Path != "/live" {
				return true, r.redirect(to("signin", "back", here(r)))
			}
		}
	}
	if caller.Name != "" {
		r.Request = r.WithContext(workflow.WithActor(r.Context(), workflow.Actor{Name: caller.Name, Via: "dashboard"}))
	}
	r.write = caller.Scope == access.Write && !d.opts.ReadOnly
	r.client = d.client
	if !r.write {
		r.client = d.reader
	}
	switch {
	case caller.Scope != access.None:
		return false, nil
	case errors.Is(err, access.ErrNoAPIKey), errors.Is(err, access.ErrWrongAPIKey):
		r.w.Header().Set("WWW-Authenticate", "Bearer")
		return false, &problem{http.StatusUnauthorized, "Sign in", err}
	default:
		return false, errNotAllowed
	}
}

// announce logs a link that signs in with the key that the process has made for itself,
// once: when somebody comes who needs it, for only then is it known where the dashboard is.
// The address is that of the connection: the Host is whatever the sender likes.
func (d *dashboard) announce(r *http.Request) {
	t, ok := d.guard.Generated()
	if !ok {
		return
	}
	d.announced.Do(func() {
		d.opts.Logger.InfoContext(r.Context(), "dashboard: no API keys are configured, so it has made one, which is good until the program ends: open the link to sign in",
			"link", SignInURL(mountedAt(r), t))
	})
}

// mountedAt is the URL of the dashboard on this machine, or as much of it as is known.
func mountedAt(r *http.Request) string {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	mount, ok := strings.CutSuffix(path, r.URL.EscapedPath())
	addr, isTCP := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	switch {
	case !ok:
		return "./"
	case !isTCP:
		return mount + "/"
	case r.TLS != nil:
		return "https://" + addr.String() + mount + "/"
	default:
		return "http://" + addr.String() + mount + "/"
	}
}

// SignInURL is a link that signs a browser in with an API key, for the terminal of the person who has
// started the program. The dashboard is mounted at base, such as "http://localhost:8080/tenter/".
// The link leads on to a page without the key in its URL.
func SignInURL(base string, key access.APIKey) string {
	return strings.TrimSuffix(base, "/") + "/" + to("signin", "key", key.Secret)
}

type signInPage struct {
	Back      string
	Wrong     bool
	Generated bool // the key is in the log
}

// signInForm asks for an API key, or takes that of a link.
func (d *dashboard) signInForm(r *request) error {
	back := r.query.Get("back")
	if key := r.query.Get("key"); key != "" {
		r.w.Header().Set("Referrer-Policy", "no-referrer")
		if !d.newSession(r, key) {
			return r.redirect(to("signin", "back", back, "wrong", "1")) // without the key
		}
		return r.redirect(backTo(back))
	}
	d.announce(r.Request)
	return d.showSignIn(r, http.StatusOK, signInPage{Back: back, Wrong: r.query.Get("wrong") != ""})
}

func (d *dashboard) showSignIn(r *request, status int, p signInPage) error {
	if !d.guard.NeedsAPIKey() {
		return r.redirect("./")
	}
	_, p.Generated = d.guard.Generated()
	return d.render(r, status, "signin", view{Title: "Sign in", Nav: "signin", Data: p})
}

// signIn takes an API key from the form.
func (d *dashboard) signIn(r *request) error {
	if err := r.parseFormOf(maxSmallForm); err != nil {
		return err
	}
	back := r.PostForm.Get("back")
	if !d.newSession(r, r.PostForm.Get("key")) {
		return d.showSignIn(r, http.StatusUnauthorized, signInPage{Back: back, Wrong: true})
	}
	return r.redirect(backTo(back))
}

// newSession leaves a session in a cookie, in place of the one that was there. Like that
// of the theme it has no path: that is the one that the dashboard is mounted at.
func (d *dashboard) newSession(r *request, key string) (ok bool) {
	session, err := d.guard.SignIn(strings.TrimSpace(key), r.now)
	if err != nil {
		return false
	}
	d.guard.SignOut(r.session())
	r.setSession(session, int(access.SessionFor.Seconds()))
	return true
}

// signOut ends the session, or all of its key.
func (d *dashboard) signOut(r *request) error {
	if err := r.parseFormOf(maxSmallForm); err != nil {
		return err
	}
	if r.PostForm.Has("everywhere") {
		d.guard.SignOutEverywhere(r.session())
	}
	d.guard.SignOut(r.session())
	r.setSession("", -1)
	return r.redirect("signin")
}

// session is what the browser has in its cookie.
func (r *request) session() string {
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		return ""
	}
	return c.Value
}

func (r *request) setSession(session string, maxAge int) {
	http.SetCookie(r.w, &http.Cookie{
		Name: sessionCookie, Value: session, MaxAge: maxAge,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: secure(r.Request),
	})
}
