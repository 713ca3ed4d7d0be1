// The main of every unit test executable.
#define BOOST_TEST_MODULE tocsin
#include <boost/test/unit_test.hpp>
