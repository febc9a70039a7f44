package journal

import "encoding/json"

// Actor is who started a run, sent a payload or gave an order, as it is kept beside a message, an
// event and a pause.
type Actor struct {
	Name string `json:"name,omitempty"`
	Via  string `json:"via,omitempty"`
	Link string `json:"link,omitempty"`
}

// Encode is the stored form: JSON, or empty if nobody is known.
func (a Actor) Encode() string {
	if a == (Actor{}) {
		return ""
	}
	text, _ := json.Marshal(a) // strings never fail
	return string(text)
}

// DecodeActor is the inverse of Encode. What is damaged is nobody.
func DecodeActor(text string) (a Actor) {
	if text == "" || json.Unmarshal([]byte(text), &a) != nil {
		return Actor{}
	}
	return a
}
