from node.web.board import *
