package dashboard

import (
	"net/http"
	"strings"
)

const themeCookie = "tenter_theme"

// theme is the one that the browser has chosen: light, dark, or empty for what its
// system prefers.
func theme(r *http.Request) string {
	if c, err := r.Cookie(themeCookie); err == nil && (c.Value == "light" || c.Value == "dark") {
		return c.Value
	}
	return ""
}

// theme chooses. A cookie and not the browser's storage keeps the choice, so that pages
// come in it from the start, without JavaScript too. It has no path: that is the one
// that the dashboard is mounted at.
func (d *dashboard) theme(r *request) error {
	if err := r.parseFormOf(maxSmallForm); err != nil {
		return err
	}
	c := &http.Cookie{
		Name: themeCookie, Value: r.PostForm.Get("theme"), MaxAge: 365 * 24 * 60 * 60,
		SameSite: http.SameSiteStrictMode, HttpOnly: true, Secure: secure(r.Request),
	}
	if c.Value != "light" && c.Value != "dark" {
		c.Value, c.MaxAge = "", -1
	}
	http.SetCookie(r.w, c)
	return r.redirect(backTo(r.PostForm.Get("back")))
}

// secure tells whether the browser speaks HTTPS, to us or to a proxy.
func secure(r *http.Request) bool {
	return r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

// backTo is a page of the dashboard to return to, and nowhere else.
func backTo(to string) string {
	page, _, _ := strings.Cut(to, "?")
	switch page {
	case "run", "journal", "event", "payload", "hooks", "hook", "workflows", "start", "help":
		return to
	case "./":
		return to
	}
	return "./"
}

// help lists the keys.
func (d *dashboard) help(r *request) error {
	return d.render(r, http.StatusOK, "help", view{Title: "Help", Nav: "help"})
}
