// Package form makes forms of JSON Schemas, for pages that ask people for JSON without showing
// them any: what was posted becomes a payload, or errors at the fields that are wrong. A [Form] is
// what a template shows; [Templates] are those that pages share.
//
// A form needs no JavaScript: a button that adds an item to a list or removes one posts the form,
// and the page shows it again. Nothing is kept between requests.
package form
