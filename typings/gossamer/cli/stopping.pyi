from node.cli.stopping import *
