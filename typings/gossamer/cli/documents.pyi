from node.cli.documents import *
