from node.cli.keyspaces import *
