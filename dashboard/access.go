package dashboard

import (
	"errors"
	"net/http"
	"regexp"

	"github.com/tenter-dev/tenter/access"
)

const sessionCookie = "tenter_session"

var errNotAllowed = &problem{http.StatusForbidden, "Not allowed", errors.New("you are not allowed to look at this")}

// identify finds out what who asks may do. It fails if that is nothing; of a page in a
// browser that can sign in, it answers itself then, and done is true.
func (d *dashboard) identify(r *request) (done bool, err error) {
	scope, err := d.guard.Check(r.Request)
	if errors.Is(err, access.ErrNoToken) {
		if c, cookieErr := r.Cookie(sessionCookie); cookieErr == nil {
			scope = d.guard.Session(c.Value, r.now)
			r.signedIn = scope != access.None
		}
		if scope == access.None && r.Method == http.MethodGet && r.URL.Path != "/live" {
			return true, r.redirect(to("signin", "back", here(r)))
		}
	}
	r.write = scope == access.Write && !d.opts.ReadOnly
	switch {
	case scope != access.None:
		return false, nil
	case errors.Is(err, access.ErrNotLocal):
		return false, &problem{http.StatusForbidden, "Only from the same machine", err}
	case errors.Is(err, access.ErrNoToken), errors.Is(err, access.ErrWrongToken):
		r.w.Header().Set("WWW-Authenticate", "Bearer")
		return false, &problem{http.StatusUnauthorized, "Sign in", err}
	default:
		return false, errNotAllowed
	}
}

type signInPage struct{ Back, Error string }

// signInForm asks for a token.
func (d *dashboard) signInForm(r *request) error {
	return d.showSignIn(r, http.StatusOK, signInPage{Back: r.query.Get("back")})
}

func (d *dashboard) showSignIn(r *request, status int, p signInPage) error {
	if !d.guard.Tokens() {
		return r.redirect("./")
	}
	return d.render(r, status, "signin", view{Title: "Sign in", Nav: "signin", Data: p})
}

// signIn takes a token and leaves a session in a cookie. Like that of the theme it has no
// path: that is the one that the dashboard is mounted at.
func (d *dashboard) signIn(r *request) error {
	if err := r.parseForm(); err != nil {
		return err
	}
	to := r.PostForm.Get("back")
	session, err := d.guard.SignIn(r.PostForm.Get("token"), r.now)
	if err != nil {
		return d.showSignIn(r, http.StatusUnauthorized, signInPage{to, "That is not a token that is accepted here."})
	}
	http.SetCookie(r.w, &http.Cookie{
		Name: sessionCookie, Value: session, MaxAge: int(access.SessionFor.Seconds()),
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: secure(r.Request),
	})
	return r.redirect(back(to))
}

// signOut forgets the session.
func (d *dashboard) signOut(r *request) error {
	http.SetCookie(r.w, &http.Cookie{
		Name: sessionCookie, MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: secure(r.Request),
	})
	return r.redirect("signin")
}

// random is what generated tokens look like.
var random = regexp.MustCompile(`^[A-Za-z0-9_-]{22,}$`)

// token is a token as it is shown: who may only look does not get those that are secrets,
// since whoever has one can resume its hook wherever that is offered.
func (r *request) token(token string) string {
	if !r.write && random.MatchString(token) {
		return token[:4] + "…"
	}
	return token
}
