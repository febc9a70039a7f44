// Package inspect is what people and tools need to see of runs, and what they
// do to them: lists, journals, timelines, hooks that wait, what can be started. An
// engine and an HTTP client both are a [Client], so that whatever shows runs, such as
// the command line and the dashboard, works on a database and on a server alike.
//
// It knows no store and no engine: its types are plain values that survive JSON.
package inspect
