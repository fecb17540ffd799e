from node.cli.options import *
