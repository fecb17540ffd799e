from node.cli.portable import *
