from node.cli.serve import *
