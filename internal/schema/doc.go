// Package schema makes JSON Schemas of Go types, for those who send and read JSON without
// them, reads schemas for forms and examples, and checks JSON by them. It knows neither
// workflows nor HTTP.
package schema
