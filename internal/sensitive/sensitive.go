// Package sensitive tells which HTTP headers carry secrets.
package sensitive

import (
	"slices"
	"strings"
)

// Header reports whether a header carries a secret: a password, key, token, session,
// signature or certificate, or an assertion of a proxy about who its user is. Such headers
// are delivered in full, and masked where people look.
//
// It goes by the words of the name, so it knows headers that nobody has heard of yet:
// X-Session is sensitive and X-Session-Duration is not, X-Auth is and X-Author is not. When
// in doubt a header is.
func Header(name string) bool {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return r == '-' || r == '_' || r == '.' })
	if len(words) > 1 && words[0] == "access" && words[1] == "control" {
		return false // CORS: of what is allowed, Credentials for one
	}
	for i := range words {
		if secretAt(words, i) {
			return !slices.Contains(describing, words[len(words)-1])
		}
	}
	return false
}

// secretAt reports whether the word at i, or the words from there on, name a secret.
func secretAt(words []string, i int) bool {
	word := words[i]
	switch {
	case slices.Contains(secretWords, word):
		return true
	case word == "key":
		return i == 0 || !slices.Contains(openKeys, words[i-1])
	case word == "tokens":
		return false // a number of them, of those that limit rates
	case slices.ContainsFunc(secretParts, func(part string) bool { return strings.Contains(word, part) }):
		return true
	}
	return slices.ContainsFunc(secretPhrases, func(p [2]string) bool { return p[0] == word && i+2 == len(words) && p[1] == words[i+1] })
}

// secretWords are words that name a secret.
var secretWords = []string{
	"auth", "bearer", "session", "sid", "csrf", "xsrf", "jwt", "jws", "jwe", "dpop", "sas", "saml", "otp", "totp", "pin",
	"hmac", "sig", "sign", "cert", "certs", "xfcc", "pwd", "creds",
}

// secretParts name a secret as a part of a word too: names are often written together.
var secretParts = []string{
	"authorization", "authentication", "cookie", "token", "secret", "passw", "passphrase", "passcode", "credential", "signature",
	"apikey", "accesskey", "privatekey", "authkey", "sessionid", "sessid", "certificate", "clientcert", "assertion", "userinfo",
}

// secretPhrases are names of secrets by their last two words.
var secretPhrases = [][2]string{
	{"oidc", "data"},         // X-Amzn-Oidc-Data: a JWT
	{"client", "principal"},  // X-Ms-Client-Principal: the claims of the user
	{"protection", "bypass"}, // X-Vercel-Protection-Bypass
	{"firebase", "appcheck"}, // X-Firebase-Appcheck: a JWT
}

// openKeys come before a key that opens nothing.
var openKeys = []string{"idempotency", "cache", "surrogate", "partition", "sort", "routing", "websocket", "public", "object", "deduplication"}

// describing words, at the end of a name, say that the header tells about a secret and is
// none: how long it lives, of which kind it is, whose it is.
var describing = []string{
	"duration", "expires", "expiry", "expiration", "age", "ttl", "timeout", "time", "timestamp", "date",
	"type", "version", "algorithm", "algo", "alg", "method", "methods", "scheme", "status", "required", "enabled", "error", "result", "results",
	"verify", "verified", "count", "limit", "remaining", "length", "provider", "url", "user", "username", "email", "groups", "roles", "pins",
}
