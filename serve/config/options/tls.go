package options

// TLS is what TLS obeys on one address or name. See ServerNames for SNI.
type TLS struct {
	Mode              string `set:"ssl"`                                                          // no, yes (TLS offered), required (no login without TLS); default yes
	Cert              File   `set:"ssl_cert" v24:"ssl_server_cert_file"`                          // server certificate chain
	Key               File   `set:"ssl_key" v24:"ssl_server_key_file"`                            // server private key
	KeyPassword       string `set:"ssl_key_password" v24:"ssl_server_key_password"`               // passphrase of the key
	AltCert           File   `set:"ssl_alt_cert" v24:"ssl_server_alt_cert_file"`                  // second certificate (other key type)
	AltKey            File   `set:"ssl_alt_key" v24:"ssl_server_alt_key_file"`                    // key of the second certificate
	CA                File   `set:"ssl_ca" v24:"ssl_server_ca_file"`                              // CA certificates for verifying clients
	VerifyClientCert  bool   `set:"ssl_verify_client_cert" v24:"ssl_server_request_client_cert"`  // ask clients for a certificate
	RequireCRL        bool   `set:"ssl_require_crl" v24:"ssl_server_require_crl"`                 // a CRL must be present for client CAs; default yes
	CertUsernameField string `set:"ssl_cert_username_field" v24:"ssl_server_cert_username_field"` // certificate field holding the user name; default commonName
	MinProtocol       string `set:"ssl_min_protocol"`                                             // lowest TLS version; default TLSv1.2
	CipherList        string `set:"ssl_cipher_list"`                                              // TLS 1.2 cipher list in OpenSSL syntax
	Options           string `set:"ssl_options"`                                                  // no_ticket, compression, no_compression
	CurveList         string `set:"ssl_curve_list"`                                               // allowed curves
	ClientCAFile      File   `set:"ssl_client_ca_file"`                                           // CAs for outgoing TLS (replication, proxy, LDAP)
	ClientCADir       string `set:"ssl_client_ca_dir"`                                            // directory of CAs for outgoing TLS
	ClientCert        File   `set:"ssl_client_cert" v24:"ssl_client_cert_file"`                   // certificate for outgoing TLS
	ClientKey         File   `set:"ssl_client_key" v24:"ssl_client_key_file"`                     // its key
	RequireValidCert  bool   `set:"ssl_client_require_valid_cert"`                                // of servers that are asked; default yes
}
