package execution

import (
	"bytes"
	"runtime/pprof"
	"strings"
)

// StuckStacks returns the stacks of the coroutines that are not parked in a durable
// call. Normally it is one.
func StuckStacks() string {
	var profile bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&profile, 1) // a bytes.Buffer never fails
	var stuck []string
	for record := range strings.SplitSeq(profile.String(), "\n\n") {
		if strings.Contains(record, "execution.(*Execution).newBranch.func1") && !strings.Contains(record, "execution.(*branch).park") {
			stuck = append(stuck, record)
		}
	}
	return strings.Join(stuck, "\n\n")
}
