from node.cli.logs import *
