// Package workers reads and writes what stores keep of workers.
package workers

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/store"
)

// definition is how a store.Definition is kept.
type definition struct {
	Workflow string `json:"workflow"`
	Version  int    `json:"version"`
}

// Encode returns the list of definitions of a worker as it is kept.
func Encode(defs []store.Definition) ([]byte, error) {
	list := make([]definition, len(defs))
	for i, d := range defs {
		list[i] = definition(d)
	}
	js, err := json.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("encode definitions: %w", err)
	}
	return js, nil
}

// Decoder decodes lists of definitions, the same ones only once. The zero value is ready. It is
// safe for concurrent use.
type Decoder struct {
	mu    sync.Mutex
	lists map[string][]store.Definition
}

// maxLists bounds how many lists a Decoder keeps.
const maxLists = 64

// Decode returns the definitions of a list. The caller must not change them.
func (d *Decoder) Decode(js string) ([]store.Definition, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if list, ok := d.lists[js]; ok {
		return list, nil
	}
	var kept []definition
	if err := json.Unmarshal([]byte(js), &kept); err != nil {
		return nil, fmt.Errorf("read definitions of a worker: %w", err)
	}
	list := make([]store.Definition, len(kept))
	for i, def := range kept {
		list[i] = store.Definition(def)
	}
	if len(d.lists) >= maxLists || d.lists == nil {
		d.lists = make(map[string][]store.Definition)
	}
	d.lists[js] = list
	return list, nil
}

// Available looks in the lists of the live workers for a definition that can execute a run, and
// returns the reason why there is none, or "".
func (d *Decoder) Available(lists []string, workflow string, version int) (reason string, err error) {
	known := false
	for _, js := range lists {
		list, err := d.Decode(js)
		if err != nil {
			return "", err
		}
		if slices.ContainsFunc(list, func(def store.Definition) bool {
			known = known || def.Workflow == workflow
			return def.Workflow == workflow && (version == 0 || def.Version == version)
		}) {
			return "", nil
		}
	}
	switch {
	case len(lists) == 0:
		return journal.ReasonNoWorker(), nil
	case !known:
		return journal.ReasonNoWorkflow(workflow), nil
	}
	return journal.ReasonNoVersion(version, workflow), nil
}
