package workflowtest

// SetMaxInstants is for a process that executes nothing else.
func SetMaxInstants(n int) { maxInstants = n }
