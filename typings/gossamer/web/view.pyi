from node.web.view import *
