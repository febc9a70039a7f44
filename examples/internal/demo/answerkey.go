package demo

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"

	"github.com/tenter-dev/tenter/engine"
)

// AnswerKey returns the key in a file, for links to answer pages, and makes it first if there is
// none: with another key, the links that are under way would be void.
func AnswerKey(file string) (engine.AnswerKey, error) {
	key, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		key = make([]byte, 32)
		rand.Read(key)
		err = os.WriteFile(file, key, 0o600)
	}
	return engine.AnswerKey{ID: "demo", Key: key}, err
}
