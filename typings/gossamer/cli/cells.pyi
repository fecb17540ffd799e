from node.cli.cells import *
