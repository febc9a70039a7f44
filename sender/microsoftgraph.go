package sender

import (
	"encoding/json"
	"net/http"
	"time"
)

const validationToken = "validationToken"

// MicrosoftGraph is the sender of the change and lifecycle notifications of Microsoft Graph. They
// are not signed. Each item has in clientState what was given when its subscription was made: that
// is the secret, and if a single item lacks it, the whole request is refused. Whoever can read a
// request can make others; validationTokens, which come with notifications that have data in them,
// are left to the app.
//
// Its handshake is a POST that has a text in the query, as validationToken, and gets it back. It
// is not authenticated in any way, so anybody can have a text back, as plain text.
//
// A request may have many items in it, and there is no delivery ID.
//
// https://learn.microsoft.com/en-us/graph/change-notifications-delivery-webhooks
func MicrosoftGraph(clientStates ...string) (*Sender, error) {
	const name = "microsoft-graph"
	keys, err := newKeys(name, clientStates, checkedKey(nil, equalKey))
	if err != nil {
		return nil, err
	}
	return &Sender{
		name: name,
		verify: func(r *Request, _ time.Time, _ time.Duration) error {
			if err := checkClientStates(r.Body, keys); err != nil {
				err.Sender = name
				return err
			}
			return nil
		},
		sign: func(r *Request, _ time.Time) error {
			if err := stampGraph(r, keys[0].sign("", nil)); err != nil {
				err.Sender = name
				return err
			}
			return nil
		},
		handshake: &handshake{
			may: func(r *Request) bool {
				return r.Method == http.MethodPost && r.URL != nil && r.URL.Query().Has(validationToken)
			},
			answer: func(_ *Sender, r *Request, _ time.Time) (*Response, error) {
				texts := r.URL.Query()[validationToken]
				if len(texts) > 1 {
					return nil, &Error{Sender: name, Field: validationToken, Reason: Repeated}
				}
				resp, err := echo(validationToken, texts[0])
				if err != nil {
					err.Sender = name
					return nil, err
				}
				return resp, nil
			},
		},
		respondWithin: 9 * time.Second, // of 10
	}, nil
}

// stampGraph gives each item its clientState.
func stampGraph(r *Request, clientState []byte) *Error {
	var members map[string]json.RawMessage
	var items []map[string]json.RawMessage
	if !decode(r.Body, &members) || !decode(members["value"], &items) {
		return malformed("body")
	}
	state, err := json.Marshal(string(clientState))
	for _, item := range items {
		if item == nil || err != nil {
			return malformed("value")
		}
		item["clientState"] = state
	}
	if members["value"], err = json.Marshal(items); err == nil {
		r.Body, err = json.Marshal(members)
	}
	if err != nil {
		return malformed("body")
	}
	return nil
}

func checkClientStates(body []byte, keys []key) *Error {
	const field = "clientState"
	var v struct {
		Value []struct {
			ClientState string `json:"clientState"`
		} `json:"value"`
	}
	if !decode(body, &v) {
		return malformed("body")
	}
	if len(v.Value) == 0 {
		return &Error{Field: "value", Reason: Missing}
	}
	for _, item := range v.Value {
		if item.ClientState == "" {
			return &Error{Field: field, Reason: Missing, Advice: "give one when you make the subscription"}
		}
		if !(scheme{keys: keys}).proves(&claim{signatures: [][]byte{[]byte(item.ClientState)}}) {
			return &Error{Field: field, Reason: Wrong, Advice: "the subscription was made with another one"}
		}
	}
	return nil
}
