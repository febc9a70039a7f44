package inspect

import "github.com/tenter-dev/tenter/workflow"

// Counts are numbers of runs by status. Counting stops at [MaxCount]: a number that
// large means that many or more.
type Counts map[workflow.Status]int

// MaxCount is where counting stops, so that it costs the same however many runs there
// are.
const MaxCount = 10_000
