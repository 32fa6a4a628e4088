package options

// Admin is what the tools of the administrator obey, and who may call them.
type Admin struct {
	DoveadmAllowedCommands []string `set:"doveadm_allowed_commands"` // commands accepted from the network
	DoveadmAPIKey          string   `set:"doveadm_api_key"`          // key of the HTTP API
	DoveadmPassword        string   `set:"doveadm_password"`         // shared secret of the doveadm service (replication)
	DoveadmPort            uint16   `set:"doveadm_port"`             // default port of remote doveadm
	DoveadmSocketPath      string   `set:"doveadm_socket_path"`      // socket or host of the doveadm service; default doveadm-server
	DoveadmWorkerCount     uint32   `set:"doveadm_worker_count"`     // parallel workers of mass commands
	DsyncRemoteCmd         string   `set:"dsync_remote_cmd"`         // command for synchronisation over ssh
}
