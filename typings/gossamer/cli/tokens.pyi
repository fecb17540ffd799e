from node.cli.tokens import *
