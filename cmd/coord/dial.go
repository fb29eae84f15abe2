package main

import (
	"io"
	"time"

	"cairn/api"
	"cairn/transport"
)

// dialCluster is dial over the network. It connects with the first call.
func dialCluster(addrs []string, timeout time.Duration) (api.Service, io.Closer, error) {
	client := transport.NewClient(addrs, transport.ClientOptions{Timeout: timeout})
	return client, client, nil
}
