package execution

import (
	"slices"

	"github.com/tenter-dev/tenter/internal/journal"
)

// derive returns bytes that only this run can compute, or those that its origin has computed.
func (x *Execution) derive(label journal.Label) [32]byte {
	i := slices.IndexFunc(x.derived, func(d derivation) bool { return d.label == label })
	if i < 0 {
		i = len(x.derived)
		x.derived = append(x.derived, derivation{label: label})
	}
	x.derived[i].count++
	if x.env.Drawn != nil {
		return x.drawn(label, x.derived[i].count)
	}
	return journal.Derive(journal.GenerationSecret(x.secretOf(label), x.info.Generation), label, x.derived[i].count)
}

// deriveNamed returns the bytes for the token of a hook that has a name: the same in all generations.
func (x *Execution) deriveNamed(name string) [32]byte {
	if x.env.Drawn != nil {
		return x.drawn(journal.LabelNamed(name), 1)
	}
	return journal.Derive(x.secret, journal.LabelNamed(name), 1)
}

// drawn returns the n-th bytes for a label that are recorded.
func (x *Execution) drawn(label journal.Label, n uint64) [32]byte {
	d := x.env.Drawn
	if i := x.origin.Index(x.position); i < len(d.Ancestors) && (label == journal.LabelID || label == journal.LabelRand) {
		d = d.Ancestors[i]
	}
	sum, ok := d.Get(label, n)
	if !ok {
		x.diverged = &Divergence{Unable: notDrawn(label, n), Caller: callerLine()}
		x.current.Load().parkForever()
	}
	return sum
}

// Derived returns how often the code has derived something for a label.
func (x *Execution) Derived(label journal.Label) int {
	for _, d := range x.derived {
		if d.label == label {
			return int(d.count) //nolint:gosec // it has counted one by one
		}
	}
	return 0
}
