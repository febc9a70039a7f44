package workflowtest

// SetMaxInstants is for a process that executes nothing else.
func SetMaxInstants(n int) { maxInstants = n }

// SecretOf is the secret of a run in a test.
func SecretOf(runID string) []byte { return secretOf(runID) }
