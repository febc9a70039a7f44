package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/server"
)

// routes are the app's own. Both find their hook by the path, after the caller has
// shown a key.
func routes(mux *http.ServeMux, eng *engine.Engine) {
	offer := server.Webhook(eng, func(r *http.Request) (string, error) {
		return offerToken(r.PathValue("supplier")), nil
	}, server.Options{})
	approval := server.Resume(eng, Approvals, func(r *http.Request) (string, error) {
		return approvalToken(r.PathValue("supplier")), nil
	}, server.Options{})
	mux.Handle("POST /suppliers/{supplier}/offer", withKey(func(r *http.Request) string { return r.PathValue("supplier") + "-key" }, offer))
	mux.Handle("POST /suppliers/{supplier}/approval", withKey(func(*http.Request) string { return "boss-key" }, approval))
}

// withKey stands for the app's authentication.
func withKey(want func(*http.Request) string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		a, b := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(want(r)))
		if subtle.ConstantTimeCompare(a[:], b[:]) == 0 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "show your key", http.StatusUnauthorized)
			return
		}
		r.Header.Del("Authorization") // the run has no use for it, and what it is given is stored
		next.ServeHTTP(w, r)
	})
}
