package inspect

import "encoding/json"

// Catalog is what can be started and resumed.
type Catalog struct {
	Workflows []WorkflowInfo `json:"workflows"` // by name
	HookTypes []HookTypeInfo `json:"hook_types"`
}

// WorkflowInfo describes a workflow.
type WorkflowInfo struct {
	Name     string `json:"name"`
	Versions []int  `json:"versions"` // that live workers have, rising

	// Input and Output are JSON Schemas. They are nil where the code is elsewhere.
	Input  json.RawMessage `json:"input,omitempty"`
	Output json.RawMessage `json:"output,omitempty"`
}

// HookTypeInfo describes a defined hook type, or a call.
type HookTypeInfo struct {
	Name    string          `json:"name"`
	Payload json.RawMessage `json:"payload"`          // JSON Schema; of a call that of the input
	Answer  json.RawMessage `json:"answer,omitempty"` // the same of what a call returns; nil: it is a hook type
	Topic   bool            `json:"topic,omitempty"`  // it is a topic, and that of the hooks which listen to it
}
