package imap

// update is a search whose result is kept up to date (CONTEXT=SEARCH, RFC 5267).
type update struct{ tag string }
