#include "base/status.h"

#include <cerrno>

#include <boost/test/unit_test.hpp>

namespace tocsin {
namespace {

Result<int> Half(int n) {
  if (n % 2 != 0) return Error(Code::kInvalidArgument, "odd");
  return n / 2;
}

Result<int> Quarter(int n) {
  TOCSIN_ASSIGN_OR_RETURN(const int half, Half(n));
  return Half(half);
}

BOOST_AUTO_TEST_SUITE(Status_)

BOOST_AUTO_TEST_CASE(AnnotatePutsContextInFront) {
  const Status inner(Code::kCorruption, "bad crc");
  BOOST_TEST(inner.Annotate("page 3").Annotate("segment a").message() ==
             "segment a: page 3: bad crc");
  BOOST_TEST(Status::Ok().Annotate("nothing").ok());
}

BOOST_AUTO_TEST_CASE(AssignOrReturnPassesTheErrorOn) {
  BOOST_TEST(Quarter(8).value() == 2);
  BOOST_TEST(Quarter(6).error().message() == "odd");
}

BOOST_AUTO_TEST_CASE(FromErrnoKeepsWhatCallersDecideOn) {
  BOOST_TEST((Status::FromErrno("write x", ENOSPC).code() == Code::kNoSpace));
  BOOST_TEST((Status::FromErrno("open x", ENOENT).code() == Code::kNotFound));
  BOOST_TEST(Status::FromErrno("open x", ENOENT).message() == "open x: No such file or directory");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin
