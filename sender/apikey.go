package sender

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"time"
)

// APIKey is a sender who shows a key: the header has it as its value, or after "Bearer " if the
// header is Authorization. It is not a signature: whoever can read a request can make others.
// There is no time and no delivery ID, see [Sender.DedupeBy].
func APIKey(header string, keys ...string) (*Sender, error) {
	if header == "" {
		return nil, errors.New("sender: api-key: the name of the header is empty")
	}
	return newBearer("api-key", http.CanonicalHeaderKey(header), keys, nil)
}

// Basic is a sender who shows a user name and a password, as HTTP Basic authentication. It is not
// a signature: whoever can read a request can make others. There is no time and no delivery ID,
// see [Sender.DedupeBy].
func Basic(user string, passwords ...string) (*Sender, error) {
	const name = "basic"
	keys, err := newKeys(name, passwords, checkedKey(nil, func(password []byte) key {
		return equalKey([]byte(user + ":" + string(password)))
	}))
	if err != nil {
		return nil, err
	}
	s := bearerSender(name, "Authorization", keys, func(value string) (string, bool) {
		user, password, ok := (&http.Request{Header: http.Header{"Authorization": {value}}}).BasicAuth()
		return user + ":" + password, ok
	}, func(secret string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(secret)) })
	return s, nil
}

// newBearer makes a sender who shows a secret in a header.
func newBearer(name, header string, secrets []string, mistaken map[string]string) (*Sender, error) {
	keys, err := newKeys(name, secrets, checkedKey(mistaken, equalKey))
	if err != nil {
		return nil, err
	}
	prefix := ""
	if header == "Authorization" {
		prefix = "Bearer "
	}
	return bearerSender(name, header, keys,
		func(value string) (string, bool) { return strings.CutPrefix(value, prefix) },
		func(secret string) string { return prefix + secret }), nil
}

// bearerSender makes a sender whose header has a secret in a form that secretOf reads and valueOf writes.
func bearerSender(name, header string, keys []key, secretOf func(value string) (string, bool), valueOf func(secret string) string) *Sender {
	return &Sender{
		name:      name,
		sensitive: []string{header},
		sign: func(r *Request, _ time.Time) error {
			r.Header.Set(header, valueOf(string(keys[0].sign("", nil))))
			return nil
		},
		verify: func(r *Request, _ time.Time, _ time.Duration) error {
			value, err := single(r.Header, header)
			if err != nil {
				err.Sender = name
				return err
			}
			secret, ok := secretOf(value)
			if !ok {
				return &Error{Sender: name, Field: header, Reason: Malformed}
			}
			if !(scheme{keys: keys}).proves(&claim{signatures: [][]byte{[]byte(secret)}}) {
				return &Error{Sender: name, Field: header, Reason: Wrong}
			}
			return nil
		},
	}
}
