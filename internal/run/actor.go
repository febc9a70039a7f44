package run

import "fmt"

// The longest texts of an actor, in bytes.
const (
	MaxActorName = 256 // and of its link
	MaxActorVia  = 64
)

// BadActor says why an actor can't be kept, or nothing if it can.
func BadActor(name, via, link string) string {
	for _, part := range []struct {
		what, text string
		limit      int
	}{{"name", name, MaxActorName}, {"via", via, MaxActorVia}, {"link", link, MaxActorName}} {
		if part.text == "" {
			continue
		}
		if bad := BadName(part.text, part.limit); bad != "" {
			return fmt.Sprintf("%s of the actor %q: %s", part.what, CutTo(part.text, part.limit), bad)
		}
	}
	return ""
}
