from node.cli.certs import *
