// What scraping counts about itself (served at /metrics).
#pragma once

#include "base/self_metrics.h"
#include "base/status.h"
#include "collector/scrape_recorder.h"

namespace tocsin::collector {

class ScrapeMetrics {
 public:
  ScrapeMetrics();

  void CountScrape(const Status& status, uint64_t samples, int64_t body_bytes);
  void CountLost(const RecordOutcome& outcome);
  Counter& skipped;  // due times that passed while the target was still being scraped

 private:
  Counter& scrapes_;
  Counter& samples_;
  Counter& body_bytes_;
  Counter& failed_timeout_;
  Counter& failed_unreachable_;
  Counter& failed_limit_;
  Counter& failed_other_;
  Counter& lost_duplicate_;
  Counter& lost_out_of_order_;
  Counter& lost_too_old_;
  Counter& lost_future_;
  Counter& lost_over_limit_;
  // What storage never saw and so cannot count.
  Counter& unseen_repeated_;
  Counter& unseen_series_;
  Counter& unseen_page_;
};

}  // namespace tocsin::collector
